#!/bin/bash
# Includes point only down the layers of src/LAYERS; a third-party header is included only by
# the files that own its library, and by no header of ours.
set -euo pipefail
# shellcheck source=tests/lint/lib.sh
. "$(dirname "$0")/lib.sh"
need python3

# HEADER PATTERN, then the files under src/ that may include it.
owners='
uv.h                  rt/*.c net/*.c
sqlite3.h             store/sqlite*.c  store/stmt.c
cjson/*               codec/json.c
yaml.h                conf/yaml.c
zlib.h                codec/press*.c codec/digest.c
immintrin.h           codec/sha256.c
cpuid.h               codec/sha256.c
zstd.h                codec/press*.c
lz4frame.h            codec/press*.c
argon2.h              codec/argon2.c
msgpack.h             codec/msgpack.c
curl/*                net/curl*.c net/http.c net/http_*.c net/net.c net/conn.c net/url.c
nghttp2/*             net/h2.c
openssl/*             net/tls_server.c net/tls_client.c net/tls_make.c
libwebsockets.h       net/ws*.c
jq.h                  rt/out_jq.c
jv.h                  rt/out_jq.c
libpq-fe.h            store/pg*.c
hiredis/*             store/redis*.c
'

# Part of the C library, the kernel or the compiler.
system='
alloca.h arpa/* assert.h complex.h ctype.h dirent.h dlfcn.h elf.h endian.h errno.h error.h
execinfo.h fcntl.h fenv.h float.h fnmatch.h fts.h ftw.h getopt.h glob.h grp.h ifaddrs.h inttypes.h
iso646.h langinfo.h libgen.h limits.h link.h linux/* locale.h malloc.h math.h net/* netdb.h
netinet/* paths.h poll.h pthread.h pwd.h regex.h sched.h semaphore.h signal.h spawn.h stdalign.h
stdarg.h stdatomic.h stdbool.h stddef.h stdint.h stdio.h stdlib.h stdnoreturn.h string.h strings.h
sys/* sysexits.h syslog.h termios.h time.h uchar.h ucontext.h unistd.h utime.h wchar.h wctype.h
emmintrin.h immintrin.h
'

findings_from < <(
	# shellcheck disable=SC2016  # Python, not shell
	tree_files 'src/*.c' 'src/*.h' 'src/*.def' |
		OWNERS=$owners SYSTEM=$system python3 -c '
import fnmatch, os, re, sys

rank = {}
for n, line in enumerate(l for l in open("src/LAYERS") if not l.startswith("#")):
    for name in line.split():
        rank[name] = n
owners = {r.split()[0]: r.split()[1:] for r in os.environ["OWNERS"].splitlines() if r.strip()}
system = os.environ["SYSTEM"].split()

def fits(name, patterns):
    return any(fnmatch.fnmatchcase(name, p) for p in patterns)

def layer(path):
    """Layer of a path below src/; files directly in src/ are `main`, tables are `base`."""
    if "/" in path:
        return path.split("/")[0]
    return "main" if path.endswith(".c") else "base"

def judge(me, quote, target):
    if quote == "\"":
        if not os.path.exists("src/" + target):
            return f"\"{target}\" does not exist below src/: includes are rooted there"
        mine, its = layer(me), layer(target)
        if its not in rank:
            return f"layer \"{its}\" is not in src/LAYERS"
        if mine != its and rank[mine] > rank[its]:
            return f"\"{target}\" lies above {mine}"
        if mine != its and rank[mine] == rank[its]:
            return f"\"{target}\" is a sibling of {mine}: go through a layer above both"
        return None
    if fits(target, system):
        return None
    owner = next((o for o in owners if fnmatch.fnmatchcase(target, o)), None)
    if owner is None:
        return f"<{target}> is neither of the C library nor in the table of tests/lint/layers.sh"
    if me.endswith(".h"):
        return f"<{target}> in a header of ours: no third-party type leaves its owner"
    if not fits(me, owners[owner]):
        return f"<{target}> belongs to " + ", ".join(owners[owner])
    return None

for path in sys.stdin.read().splitlines():
    me = path[len("src/"):]
    if layer(me) not in rank:
        print(f"{path}:1: layer \"{layer(me)}\" is not in src/LAYERS")
        continue
    for n, line in enumerate(open(path, encoding="utf-8"), 1):
        m = re.match(r"\s*#\s*include\s*([\"<])([^\">]+)[\">]", line)
        wrong = m and judge(me, m[1], m[2])
        if wrong:
            print(f"{path}:{n}: {wrong}")
'
)
finish
