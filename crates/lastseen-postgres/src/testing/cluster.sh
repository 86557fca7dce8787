# A PostgreSQL of the tests' own. Arguments: the folder of its programs, a free port, further settings.
# Does what it is told on standard input, a word a line, and answers each with a line; ends the server and
# removes all of it when the input ends, as it does when whoever started this is gone, however that came.
set -u
bin=$1
port=$2
shift 2

# In memory where there is room: a new database is a thousand files, and a hundred tests make one each.
for place in /dev/shm "${TMPDIR:-/tmp}"; do
    folder=$(mktemp -d "$place/lastseen-postgres-XXXXXX" 2>/dev/null) && break
done
[ -d "$folder" ] || exit 1

processes() {
    ps -o pid= --ppid "$server"
    echo "$server"
}

finish() {
    # Stopped ones too have to hear it.
    kill -CONT $(processes) 2>/dev/null
    kill -QUIT "$server" 2>/dev/null
    wait "$server" 2>/dev/null
    rm -rf "$folder"
}

start() {
    "$bin/postgres" -D "$folder/data" -k "$folder" -p "$port" \
        -c listen_addresses=127.0.0.1 -c shared_buffers=32MB -c max_wal_size=256MB -c jit=off \
        -c log_line_prefix='%m [%p] ' "$@" </dev/null >>"$folder/log" 2>&1 &
    server=$!
    until "$bin/pg_isready" -q -h "$folder" -p "$port"; do
        if ! kill -0 "$server" 2>/dev/null; then
            tail -n 20 "$folder/log" >&2
            rm -rf "$folder"
            exit 1
        fi
        sleep 0.02
    done
}

if ! "$bin/initdb" --no-sync --auth=trust --username=lastseen --encoding=UTF8 --locale=C \
    "$folder/data" >"$folder/log" 2>&1; then
    cat "$folder/log" >&2
    rm -rf "$folder"
    exit 1
fi
start "$@"
trap finish EXIT
echo "$folder"

while read -r word; do
    case $word in
    pause) kill -STOP $(processes) ;;
    resume) kill -CONT $(processes) ;;
    stop)
        kill -INT "$server"
        wait "$server"
        ;;
    crash)
        kill -QUIT "$server"
        wait "$server"
        ;;
    start) start "$@" ;;
    esac
    echo "$word"
done
