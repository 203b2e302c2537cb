# SPDX-License-Identifier: Apache-2.0
# deb822 apt sources (sources.list(5)): write every stanza about release `own` that has the component main to a file
# <out>/<n>.sources, about release `other` instead and of any architecture; its other fields, an inlined key too, stay as
# they are.
{
    sub(/\r$/, "")
}
/^#/ {
    next
}
/^[ \t]*$/ {
    finish()
    next
}
/^[^ \t]/ {
    field = tolower(substr($0, 1, index($0, ":") - 1))
}
field ~ /^architectures/ {
    next
}
field == "types" || field == "suites" || field == "components" || field == "enabled" {
    value = $0
    sub(/^[^ \t][^:]*:/, "", value)
    known[field] = known[field] " " value
    next
}
{
    kept = kept $0 "\n"
}
END {
    finish()
}

function has(words, wanted,    list, count, i)
{
    count = split(words, list)
    for (i = 1; i <= count; i++) {
        if (list[i] ~ wanted)
            return 1
    }
    return 0
}

function finish()
{
    if (kept != "" && has(known["types"], "^deb$") && has(known["components"], "^main$") &&
        has(known["suites"], "^(" own "|stable|oldstable|oldoldstable|testing)$") && !has(known["enabled"], "^no$"))
        printf "Types: deb\nSuites: %s\nComponents: main\n%s", other, kept > (out "/" (number++) ".sources")
    kept = field = ""
    split("", known)
}
