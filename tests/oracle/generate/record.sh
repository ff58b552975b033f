#!/bin/sh
# record.sh FOLDER: ask a real engine about every FOLDER/*.json that has no .expected yet.
#
# Each topology is built and measured twice by a fresh engine (env/matrix.py). What was the same twice, but for ids, becomes
# FOLDER/NAME.expected; what was not is random on the real engine: both answers stay as NAME.first and NAME.second, and the generator
# has to stop drawing it. By hand only, as root, with the stage up:
#
#   export ORACLE_STATE=/somewhere/outside
#   sh env/oracle-env.sh up; eval "$(sh env/oracle-env.sh vars)"; sh env/images.sh
#   python3 generate/topologies.py /tmp/drawn $(seq 1 100); sh generate/record.sh /tmp/drawn
#   sh env/oracle-env.sh down
#
# The engine is the dockerd of PATH, or DOCKERD: Debian 12 has 20.10.24; 28.5.2, whose answers are in matrix-28 and expected-28, comes
# from the packages docker.io, docker-cli and containerd of Debian 14, unpacked beside and put first in PATH (they run on Debian 12's
# libraries, with its runc). images.sh needs a busybox that is statically linked.
#
# Several stages (ORACLE_STATE, ORACLE_NS, ORACLE_OUT of their own) may share one folder: each takes the next topology.
set -u
folder=$1
oracle=$(cd "$(dirname "$0")/.." && pwd)
: "${DOCKER_HOST:?bring the stage up first: see the head of this file}"
without_ids() { sed -E 's/[0-9a-f]{64}/<ID>/g; s/id:"[0-9a-f]{12}"/id:"<ID>"/g' "$1"; }
for topology in "$folder"/*.json; do
  name=${topology%.json}
  [ -e "$name.expected" ] && continue
  mkdir "$name.taken" 2>/dev/null || continue
  arguments=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1])).get("daemon", ""))' "$topology")
  for pass in first second; do
    eval "sh \"$oracle/env/oracle-env.sh\" reset $arguments" > "$name.reset" 2>&1 || { echo "no engine for $name: $(tail -1 "$name.reset")"; continue 2; }
    timeout 300 python3 "$oracle/env/matrix.py" "$topology" > "$name.$pass" 2>&1 || { echo "cannot measure $name"; continue 2; }
    without_ids "$name.$pass" > "$name.$pass.masked"
  done
  if cmp -s "$name.first.masked" "$name.second.masked"; then
    mv "$name.first.masked" "$name.expected"
    rm "$name.first" "$name.second" "$name.second.masked"
    echo "recorded $name"
  else
    echo "random: $name"
    diff "$name.first" "$name.second"
  fi
  rm -r "$name.taken" "$name.reset"
done
