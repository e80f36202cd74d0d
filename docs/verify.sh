#!/bin/sh
# Verifies a run, or a folder of runs, without the checker: only ssh-keygen, sha256sum and the usual small tools.
#
#   docs/verify.sh RUN|FOLDER ALLOWED_SIGNERS [HEAD]
#
# ALLOWED_SIGNERS is the auditor's own file of the keys that may sign; HEAD is the SHA-256 of the newest manifest as it was
# published outside the folder. Prints what is wrong; exit code 0 when nothing is, 1 when something is, 2 on wrong usage.
#
# It does not judge again: that the verdicts follow from the evidence is what `checker verify` adds.
set -u
export LC_ALL=C

[ $# -ge 2 ] || { echo "usage: $0 RUN|FOLDER ALLOWED_SIGNERS [HEAD]" >&2; exit 2; }
[ -d "$1" ] && [ -f "$2" ] || { echo "$0: no such folder or signers file" >&2; exit 2; }
place=$(cd "$1" && pwd -P)
signers=$(cd "$(dirname "$2")" && pwd -P)/$(basename "$2")
head=${3:-}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
: >"$tmp/wrong"

wrong() { printf 'WRONG %s\n' "$1" | tee -a "$tmp/wrong"; }

# The lines of the manifest's files as sha256sum wants them. A path with anything but these characters is no path of a run.
listed() {
  sed -n 's/^    {"path":"\([A-Za-z0-9._/-]*\)","sha256":"\([0-9a-f]\{64\}\)","size":[0-9]*},\{0,1\}$/\2  \1/p' "$1"
}

field() { sed -n "s/^ *\"$2\": \"\{0,1\}\([A-Za-z0-9._-]*\)\"\{0,1\},\{0,1\}\$/\1/p" "$1" | head -n 1; }

run() { # run FOLDER: its digests, its files and its signature
  cd "$1" || exit 2
  name=$(basename "$1")
  [ -f manifest.json ] || { wrong "$name: manifest.json is missing"; return; }
  [ -f manifest.json.sig ] || { wrong "$name: manifest.json.sig is missing"; return; }
  if principal=$(ssh-keygen -Y find-principals -s manifest.json.sig -f "$signers" 2>"$tmp/error" | head -n 1) && [ -n "$principal" ]; then
    ssh-keygen -Y verify -f "$signers" -I "$principal" -n compliance-evidence -s manifest.json.sig <manifest.json >"$tmp/out" 2>&1 ||
      wrong "$name: manifest.json is not what $principal signed: $(cat "$tmp/out")"
  else
    wrong "$name: nobody whom the signers file names signed manifest.json: $(cat "$tmp/error")"
  fi
  listed manifest.json >"$tmp/listed"
  grep -q '  \(.*/\)\{0,1\}\.\.\{0,1\}\(/\|$\)' "$tmp/listed" && { wrong "$name: the manifest lists a path outside the run"; return; }
  [ -s "$tmp/listed" ] || wrong "$name: the manifest lists no file"
  [ "$(grep -c '"path":"' manifest.json)" = "$(grep -c '' "$tmp/listed")" ] || wrong "$name: the manifest lists a file in another form"
  find . ! -type f ! -type d | sed "s/^/$name: no plain file: /" | while read -r line; do wrong "$line"; done
  find . -type f | sed 's/^\.\///' | sort >"$tmp/found"
  { sed 's/^[0-9a-f]*  //' "$tmp/listed"; printf 'manifest.json\nmanifest.json.sig\nattestation.json\n'; } | sort >"$tmp/wanted"
  comm -13 "$tmp/wanted" "$tmp/found" | while read -r file; do wrong "$name: $file was added"; done
  comm -23 "$tmp/wanted" "$tmp/found" | while read -r file; do wrong "$name: $file was removed"; done
  sha256sum --check --strict "$tmp/listed" 2>/dev/null | grep -v ': OK$' | sed 's/: .*//' | while read -r file; do
    [ -f "$file" ] && wrong "$name: $file was changed"
  done
  printf '%s %s %s %s\n' "$(field manifest.json sequence)" "$name" "$(sha256sum <manifest.json | cut -d ' ' -f 1)" \
    "$(field manifest.json manifest)" >>"$tmp/chain"
}

: >"$tmp/chain"
if [ -e "$place/manifest.json" ] || [ -e "$place/run.json" ]; then
  run "$place"
  single=yes
else
  single=
  for folder in "$place"/*/; do
    folder=${folder%/}
    [ -L "$folder" ] || [ ! -d "$folder" ] || run "$folder"
  done
fi

[ -s "$tmp/chain" ] || { echo "$0: no run here" >&2; [ -s "$tmp/wrong" ] && exit 1; exit 2; }
sort -n "$tmp/chain" >"$tmp/sorted"
if [ -z "$single" ]; then
  expected=1 before=
  while read -r sequence name digest previous; do
    if [ "$sequence" != "$expected" ]; then
      wrong "$name: is number $sequence, expected $expected: a run is missing before it, or stands twice"
    elif [ "$previous" != "$before" ]; then
      wrong "$name: does not follow the run before it"
    fi
    expected=$((sequence + 1)) before=$digest
  done <"$tmp/sorted"
fi
newest=$(tail -n 1 "$tmp/sorted" | cut -d ' ' -f 3)
if [ -n "$head" ]; then
  [ "$newest" = "$head" ] || wrong "the newest run here is $newest, and not the published head $head"
else
  echo "not proven: that the newest run is here (no published head was given)"
fi
[ ! -s "$tmp/wrong" ] || exit 1
echo "ok: $(grep -c '' "$tmp/chain") run(s), newest manifest $newest"
