#!/bin/bash
# Shows each check of this folder small trees with exactly one fault, which it must find, and a
# sound tree, on which it must be quiet.
# shellcheck disable=SC2016  # scripts as texts
set -euo pipefail
# shellcheck source=tests/lint/lib.sh
. "$(dirname "$0")/lib.sh"

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
unset TEST_QUICK
export ZK=$tree/bin/zk

# usage: file PATH: writes stdin there, below the tree.
file() {
	mkdir -p "$tree/$(dirname "$1")"
	cat >"$tree/$1"
}

# A sound tree: every check is quiet on it.
sound() {
	rm -rf "$tree"
	mkdir "$tree"
	cp "$root/.clang-format" "$root/.clang-tidy" "$tree"
	printf 'cmd\nrt\ncodec conf\nbase\n' | file src/LAYERS
	file src/base/num.h <<'END'
/* Numbers.
 * Layer: base. */
#ifndef ZK_BASE_NUM_H
#define ZK_BASE_NUM_H

int zk_num_twice(int n);

#endif
END
	file src/base/num.c <<'END'
/* Numbers.
 * Layer: base. */
#include "base/num.h"

#include "base/ban.h"

int zk_num_twice(int n)
{
	return 2 * n;
}
END
	file src/base/ban.h <<'END'
/* Names that are not used.
 * Layer: base. */
#ifndef ZK_BASE_BAN_H
#define ZK_BASE_BAN_H
#pragma GCC poison strcpy
#endif
END
	printf "zk_sources += files(\n  'num.c',\n)\n" | file src/base/meson.build
	printf '#!/bin/bash\nset -euo pipefail\necho ok\n' | file scripts/say
	{
		printf '[Unit]\nDescription=x\n[Service]\nExecStart=@bindir@/zk\nDynamicUser=yes\n'
		sed -n '/^NoNewPrivileges/,/^UMask/p' "$root/contrib/systemd/zk-triggers.service.in"
	} | file contrib/systemd/x.service.in
	cp "$root/scripts/lib.sh" "$root/scripts/gen" "$tree/scripts"
	printf '# Written by scripts/gen.\ninstall_man(\n  %szk.1%s,\n)\n' "'" "'" | file man/meson.build
	file bin/zk <<'END'
#!/bin/bash
set -euo pipefail
case "$*" in
"emit list") printf 'man/zk.1\tman zk.1\n' ;;
"emit man zk.1") cat "$(dirname "$0")/zk.1" ;;
"emit json") echo '{"commands": [{"path": "say", "hidden": false}]}' ;;
*) echo "Prints." ;;
esac
END
	chmod +x "$tree/bin/zk"
	file man/zk.1 <<-'END'
		.Dd January 2, 2025
		.Dt ZK 1
		.Os
		.Sh NAME
		.Nm zk
		.Nd one command line
		.Sh DESCRIPTION
		Prints.
	END
	cp "$tree/man/zk.1" "$tree/bin/zk.1"
}

# usage: quiet CHECK...
quiet() {
	local check out
	for check; do
		out=$("$lint_dir/$check.sh" "$tree" 2>&1) ||
			finding "tests/lint/$check.sh:1: complains about a sound tree: $out"
	done
}

# usage: finds CHECK TEXT WHAT: the check fails and its output holds TEXT.
finds() {
	local out status=0
	out=$("$lint_dir/$1.sh" "$tree" 2>&1) || status=$?
	if [ "$status" = 0 ] || [ "$status" = 77 ]; then
		finding "tests/lint/$1.sh:1: does not see $3"
	elif ! grep -qF -- "$2" <<<"$out"; then
		finding "tests/lint/$1.sh:1: fails on $3 without saying '$2': $out"
	fi
	sound
}

# usage: into_c TEXT: puts a line before the end of src/base/num.c's function.
into_c() {
	sed -i "s|^\treturn 2|\t$1\n&|" "$tree/src/base/num.c"
}

sound
quiet ban cleanup format gen headers helpwidth layers man registered shell sizes tidy units words

sed -i '/ban\.h/d' "$tree/src/base/num.c"
finds ban 'base/ban.h' 'a missing ban.h'
printf '#include <stdio.h>\n' >>"$tree/src/base/num.c"
finds ban 'base/ban.h' 'an include after ban.h'
into_c 'usleep(1);'
finds ban 'usleep' 'a banned call'

sed -i 's|^\treturn 2|\tZK_CLEANUP(done)\n\tstruct x b;\n\tif (n)\n\t\treturn 0;\n\tinit(\&b);\n&|' \
	"$tree/src/base/num.c"
finds cleanup 'leaves before `b`' 'a way out before a cleanup variable is set'

into_c '  n++  ;'
finds format 'not formatted' 'a badly formatted line'

printf 'int main(void)\n{\n	return 0;\n}\n' >"$tree/bin/cc.c"
gcc -pie -Wl,-z,relro,-z,now,--no-as-needed "$tree/bin/cc.c" -o "$tree/bin/zk" -l:libjq.so.1
finds elf 'links libjq.so.1' 'a library that may not be linked'
printf 'int main(void)\n{\n	return 0;\n}\n' >"$tree/bin/cc.c"
gcc -no-pie -Wl,-z,norelro "$tree/bin/cc.c" -o "$tree/bin/zk"
finds elf 'not position independent' 'a binary that is not hardened'
printf '#include <dlfcn.h>\nint main(void)\n{\n	return !dlopen("libcurl.so.4", RTLD_NOW);\n}\n' \
	>"$tree/bin/cc.c"
gcc -pie -Wl,-z,relro,-z,now "$tree/bin/cc.c" -o "$tree/bin/zk"
finds elf 'opens libcurl' 'a library that `zk version` opens'

sed -i 's/^Prints/Says/' "$tree/man/zk.1"
finds gen '+Prints.' 'a page that is out of date'
cp "$tree/man/zk.1" "$tree/man/zk-gone.1"
finds gen 'man/zk-gone.1: is generated no longer' 'a page of a command that went'

sed -i 's/echo "Prints."/printf "%081d\\n" 1/' "$tree/bin/zk"
finds helpwidth '81 columns' 'a wide help'
sed -i 's/echo "Prints."/exit 64/' "$tree/bin/zk"
finds helpwidth 'exit status 64' 'a help that fails'

sed -i 's/int zk_num_twice(int n);/int zk_num_twice(size_t n);/' "$tree/src/base/num.h"
finds headers 'does not compile alone with clang' 'a header that needs another one'
sed -i 's/ZK_BASE_NUM_H/ZK_NUM_H/' "$tree/src/base/num.h"
finds headers 'no guard ZK_BASE_NUM_H' 'a wrong guard'
sed -i '/^ \*/d; s,^/\*.*,/* Numbers. */,' "$tree/src/base/num.h"
finds headers 'no opening comment' 'a header without its layer'

printf '/* Loop.\n * Layer: rt. */\n' | file src/rt/loop.h
sed -i 's,^#include "base/num.h",&\n#include "rt/loop.h",' "$tree/src/base/num.c"
finds layers 'lies above base' 'an include that points upwards'
printf '/* Json.\n * Layer: codec. */\n' | file src/codec/json.h
printf '#include "codec/json.h"\n' | file src/conf/file.c
finds layers 'is a sibling of conf' 'an include between siblings'
sed -i 's,^#include "base/num.h",&\n#include <uv.h>,' "$tree/src/base/num.c"
finds layers '<uv.h> belongs to rt/*.c, net/*.c' 'a library outside of its owner'
printf '#include <uv.h>\n' | file src/rt/loop.h
finds layers 'in a header of ours' 'a library in a header'
printf '#include <glib.h>\n' | file src/rt/loop.c
finds layers 'neither of the C library nor in the table' 'an unknown library'
printf '#include "num.h"\n' | file src/base/more.c
finds layers 'includes are rooted there' 'an include that is not rooted at src/'
printf '#include "base/num.h"\n' | file src/extra/x.c
finds layers 'is not in src/LAYERS' 'a folder that is no layer'

sed -i 's/^\.Sh DESCRIPTION/.Sh DESCRIPTION\n.Xx/' "$tree/man/zk.1"
finds man 'Xx' 'an unknown macro'
printf '.so man1/zk-gone.1\n' | file man/zk-verb.1
finds man 'which does not exist' 'a link to nothing'

cp "$tree/src/base/num.c" "$tree/src/base/other.c"
finds registered "'other.c' is not listed" 'a source that is not built'
printf 'int main(void);\n' | file tests/unit/test_num.c
finds registered "'num' is not listed" 'a test that does not run'
printf 'echo\n' | file tests/cli/area/x.sh
finds registered "'area' is not listed" 'a golden folder that does not run'
printf 'x\n' | file tests/cli/area/gone.out
finds registered 'there is no tests/cli/area/gone.sh' 'an expectation without its test'
printf 'int x;\n' | file tests/fuzz/fuzz_num.c
printf "fuzz_targets = [\n  'num',\n]\n" | file tests/fuzz/meson.build
finds registered 'no seeds' 'a fuzz target without seeds'
cp "$tree/src/base/num.c" "$tree/src/base/abc.c"
printf "zk_sources += files(\n  'num.c',\n  'abc.c',\n)\n" | file src/base/meson.build
finds registered 'not in order' 'an unsorted list'

printf '#!/bin/bash\nset -euo pipefail\necho $1\n' | file scripts/say
finds shell 'SC2086' 'an unquoted variable'
printf '#!/bin/bash\necho "$1"\n' | file scripts/say
finds shell 'no set -euo pipefail' 'a script that is not strict'

yes '/* line */' | head -n 1001 | file src/base/long.c || true
finds sizes '1001 lines, at most 1000' 'a long file'
{
	printf 'int zk_f(int n)\n{\n'
	yes '	n++;' | head -n 80 || true
	printf '	return n;\n}\n'
} | file src/base/func.c
finds sizes 'zk_f has 84 lines, at most 80' 'a long function'
{
	printf 'int zk_f(int n)\n{\n'
	for i in {1..15}; do printf '	if (n == %d)\n		n++;\n' "$i"; done
	printf '	return n;\n}\n'
} | file src/base/func.c
finds sizes 'zk_f has complexity 16, at most 15' 'a tangled function'

printf 'int zk_f(void)\n{\n	struct {\n		LIST(X)\n	} x;\n}\n' | file src/base/func.c
finds sizes 'func.c' 'a file that pmccabe cannot follow'

into_c 'int *p = 0; n += *p;'
finds tidy 'clang-analyzer-core.NullDereference' 'a null dereference'
into_c 'if (n == 3) n++; else n++;'
finds tidy 'bugprone-branch-clone' 'two equal branches'

sed -i 's/^DynamicUser=.*/&\nSurprise=yes/' "$tree/contrib/systemd/x.service.in"
finds units 'Surprise' 'an unknown key of a unit'
sed -i '/^Protect/d' "$tree/contrib/systemd/x.service.in"
finds units 'exposure level' 'a service with much access'

printf 'This is t%s end.\n' eh | file NEWS.md
finds words 'teh ==> the' 'a misspelling'
printf '/* TO%s: later */\n' DO | file src/base/x.h
finds words 'needs an issue number' 'a reminder without an issue'
printf 'see /wor%s/main/x\n' k | file NEWS.md
finds words 'path of one machine' 'a path of one machine'
printf '"resolved": "https://registr%s.%s.org/x"\n' y npmjs | file tests/peer/package-lock.json
finds words 'host of a registry' 'a registry in a lock file'
finish
