#!/usr/bin/env bash
# Owns how a script finds a port: prints one of loopback that no program uses now.
set -euo pipefail
exec python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
