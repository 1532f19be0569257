#!/bin/bash
# The pinned frameworks open what Ingot writes, and predict what they predicted before.
#
#     interop.sh INGOT PYTHON_OF_KERAS2 PYTHON_OF_KERAS3 [PATTERN]
#
# Converts every fixture of manifest.json (or those whose names match the shell pattern) along the routes below, into a temporary folder, and has
# interop.py load each file with its framework. A conversion that is refused (exit 69) is printed with its reason and doesn't count; any other
# failure does. A file on which the framework fails as it does on the fixture itself is printed as "as the original" and doesn't count either.
# Ends with "N passed, N failed"; exits 1 if any failed. KEEP=1 keeps the folder.
#
#     source                 written                              loaded by
#     keras2-h5              .keras, .weights.h5                  Keras 3
#                            .ingot, and from that .h5            tf_keras
#     keras3-keras           .h5                                  tf_keras
#                            .weights.h5; .ingot, then .keras     Keras 3
#     the other dialects     .h5                                  tf_keras
#                            .keras                               Keras 3
set -u -o pipefail
[ $# -ge 3 ] || { sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 64; }
ingot=$(realpath "$1") python2=$2 python3=$3 pattern=${4:-*}
here=$(cd "$(dirname "$0")" && pwd)
fixtures=$(dirname "$here")
work=$(mktemp -d "${TMPDIR:-/tmp}/ingot-interop.XXXXXX")
[ -n "${KEEP:-}" ] && echo "files are kept in $work" || trap 'rm -rf "$work"' EXIT

failed=0 refused=0 written=0

# convert ROUTE SOURCE OUTPUT [OPTION..]: 0 if the file is there.
convert() {
  local route=$1 source=$2 output=$3 code message
  shift 3
  mkdir -p "$(dirname "$output")"
  message=$("$ingot" convert --quiet "$source" "$output" "$@" 2>&1 >"$work/report")
  code=$?
  case $code in
    0) written=$((written + 1)) ;;
    69) refused=$((refused + 1)); echo "refused $route $(basename "$output"): ${message//$'\n'/ }" ;;
    *)
      failed=$((failed + 1))
      echo "FAILED $route $(basename "$output"): ingot convert exits $code: ${message//$'\n'/ } $(grep -m1 -iE 'differ|not |diverge' "$work/report")"
      ;;
  esac
  return $code
}

# Folders that interop.py looks into, a framework each.
for2=() for3=()
route() { # ROUTE FRAMEWORK
  directory=$work/$1
  case $2 in
    2) [[ " ${for2[*]-} " == *" $directory "* ]] || for2+=("$directory") ;;
    3) [[ " ${for3[*]-} " == *" $directory "* ]] || for3+=("$directory") ;;
  esac
}

while IFS=$'\t' read -r dialect name path config; do
  # shellcheck disable=SC2053
  [[ $name == $pattern ]] || continue
  source=$fixtures/$path
  options=()
  [ -n "$config" ] && options=(--config "$fixtures/$config")
  case $dialect in
    keras2-h5)
      route "$dialect-to-keras" 3
      if convert "$dialect-to-keras" "$source" "$directory/$name.keras"; then
        route "$dialect-to-weights" 3
        convert "$dialect-to-weights" "$source" "$directory/$name.weights.h5" \
          && ln -s "$work/$dialect-to-keras/$name.keras" "$directory/$name.configuration"
      fi
      route "$dialect-to-ingot-to-h5" 2
      convert "$dialect-to-ingot" "$source" "$work/$dialect-to-ingot/$name.ingot" \
        && convert "$dialect-to-ingot-to-h5" "$work/$dialect-to-ingot/$name.ingot" "$directory/$name.h5"
      ;;
    keras3-keras)
      route "$dialect-to-h5" 2
      convert "$dialect-to-h5" "$source" "$directory/$name.h5"
      route "$dialect-to-ingot-to-keras" 3
      if convert "$dialect-to-ingot" "$source" "$work/$dialect-to-ingot/$name.ingot" \
        && convert "$dialect-to-ingot-to-keras" "$work/$dialect-to-ingot/$name.ingot" "$directory/$name.keras"; then
        route "$dialect-to-weights" 3
        convert "$dialect-to-weights" "$source" "$directory/$name.weights.h5" \
          && ln -s "$work/$dialect-to-ingot-to-keras/$name.keras" "$directory/$name.configuration"
      fi
      ;;
    *)
      route "$dialect-to-h5" 2
      convert "$dialect-to-h5" "$source" "$directory/$name.h5" "${options[@]}"
      route "$dialect-to-keras" 3
      convert "$dialect-to-keras" "$source" "$directory/$name.keras" "${options[@]}"
      ;;
  esac
done < <("$python3" - "$fixtures/manifest.json" <<'PYTHON'
import json, sys
for row in json.load(open(sys.argv[1])):
    print(row["dialect"], row["name"], row["path"], row.get("config") or "", sep="\t")
PYTHON
)
echo "$written conversions written, $refused refused, $failed failed"

passed=0
load() { # PYTHON FRAMEWORK DIRECTORY..
  local python=$1 framework=$2 summary
  shift 2
  [ $# -gt 0 ] || return
  "$python" "$here/interop.py" --framework "$framework" $(printf -- '--directory %s ' "$@") 2>"$work/stderr" | tee "$work/$framework.log"
  summary=$(tail -n 1 "$work/$framework.log")
  if [[ $summary =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
    passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2]))
  else
    echo "FAILED $framework: interop.py ended early"
    tail -n 5 "$work/stderr"
    failed=$((failed + 1))
  fi
}
load "$python2" keras2 "${for2[@]}"
load "$python3" keras3 "${for3[@]}"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
