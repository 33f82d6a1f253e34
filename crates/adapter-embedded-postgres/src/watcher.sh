# Runs one PostgreSQL server and stops it when nobody shares it any more.
#
#   sh watcher.sh HOME LINGER PID [SERVER ARGUMENT...]
#
# PID 0 starts the server from the remaining arguments; any other PID is a running server that lost its watcher.
# Standard input is HOME/lock/watch, locked by our starter: whoever keeps that file open keeps the lock, so the lock
# tells everybody whether somebody still watches. Sharers hold HOME/lock/share with a shared lock, and the kernel gives
# that lock back however they end. We wait for the exclusive one and keep it until the server has stopped, so a
# newcomer cannot slip in while it stops.

home=$1 linger=$2 server=$3
shift 3
umask 077
exec >>"$home/server.log" 2>&1 || exit 1
exec 9<&0 </dev/null
echo "$$" >"$home/lock/watch.pid"
# A signal to the whole process group (a service manager's stop) must not leave the server alone.
trap ':' HUP INT TERM

if command -v flock >/dev/null 2>&1; then
  lock() { flock "$1" 8 9<&-; }
elif command -v perl >/dev/null 2>&1; then
  lock() {
    perl -e 'open(my $f, "<&=", 8) or exit 1; flock($f, {-x => 2, -xn => 6, -u => 8}->{$ARGV[0]}) or exit 1' -- "$1" 9<&-
  }
else
  echo "guiche: neither flock nor perl is installed, and one of them is needed to know when to stop the server"
  exit 1
fi

wait_for_the_last_sharer() {
  exec 8<>"$home/lock/share" || exit 1
  while :; do
    lock -x || { pause 1; continue; }
    [ "$linger" = 0 ] && return
    lock -u
    pause "$linger"
    lock -xn && return
  done
}

# A dead process that nobody has reaped can still be signalled.
is_process() {
  kill -0 "$server" 2>/dev/null || return 1
  state=
  { read -r _ _ state _ <"/proc/$server/stat"; } 2>/dev/null
  [ "$state" != Z ]
}

# An adopted server is not our child: its number may have passed to another process, so its pid file must agree.
lives() {
  is_process || return 1
  [ "$adopted" = no ] && return 0
  first=
  { read -r first <"$home/data/postmaster.pid"; } 2>/dev/null
  [ "$first" = "$server" ]
}

pause() {
  sleep "$1" 8<&- 9<&-
}

# Fast first, then immediate, then by force. Said again every second: a server that has only just begun is deaf.
stop() {
  tick=0
  while lives; do
    case $tick in
      600) kill -QUIT "$server" ;;
      800) kill -KILL "$server" ;;
      900) return ;;
      *) [ $((tick % 20)) = 0 ] && [ $tick -lt 600 ] && kill -INT "$server" ;;
    esac
    if [ $tick -lt 20 ]; then pause 0.01; else pause 0.05; fi
    tick=$((tick + 1))
  done
  # Without its pid file a server is about to end, and has not quite.
  tick=0
  while [ $tick -lt 100 ] && is_process; do
    pause 0.01
    tick=$((tick + 1))
  done
}

if [ "$server" != 0 ]; then
  adopted=yes
  wait_for_the_last_sharer
  stop
  exit 0
fi

adopted=no
"$@" 9<&- &
server=$!
(
  trap ':' HUP INT TERM
  wait_for_the_last_sharer
  stop
) &
# From here both locks live and die with the part that does the watching: we must not keep one when that is killed.
exec 9<&-
while kill -0 "$server" 2>/dev/null; do
  wait "$server"
  [ $? = 127 ] && break
done
# The server has ended. So must all of this group: the watching part, and the flock that it may be waiting for.
kill -KILL 0
