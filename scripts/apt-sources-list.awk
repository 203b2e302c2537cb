# SPDX-License-Identifier: Apache-2.0
# One-line apt sources (sources.list(5)): write every "deb" line about release `own` that has the component main to a
# file <out>/<n>.list, about release `other` instead and of any architecture.
/^[ \t]*deb[ \t]/ {
    line = $0
    sub(/[ \t]#.*$/, "", line)
    options = ""
    if (match(line, /\[[^]]*\]/)) {
        options = substr(line, RSTART, RLENGTH) " "
        line = substr(line, 1, RSTART - 1) " " substr(line, RSTART + RLENGTH)
        gsub(/arch[-+]?=[^] \t]*/, "", options)
        if (options ~ /^\[[ \t]*\] $/)
            options = ""
    }
    count = split(line, word)
    has_main = 0
    for (i = 4; i <= count; i++)
        has_main = has_main || word[i] == "main"
    if (has_main && is_own(word[3]))
        print "deb " options word[2] " " other " main" > (out "/" (number++) ".list")
}

function is_own(suite)
{
    return suite == own || suite ~ /^(stable|oldstable|oldoldstable|testing)$/
}
