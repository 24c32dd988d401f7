/* The scripts of `zk completion`: thin, because they ask the program that is installed.
 * Layer: cli. */
#include "cli/emit.h"

#include "base/ban.h"

static const char bash[] =
        "_zk() {\n"
        "\tlocal IFS=$'\\n' cur=${COMP_WORDS[COMP_CWORD]} lines line\n"
        "\tCOMPREPLY=()\n"
        "\tmapfile -t lines < <(\"${COMP_WORDS[0]}\" __complete -- \\\n"
        "\t\t\"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
        "\tfor line in \"${lines[@]}\"; do\n"
        "\t\tcase $line in\n"
        "\t\t:file) compopt -o filenames; COMPREPLY+=($(compgen -f -- \"$cur\")) ;;\n"
        "\t\t:dir) compopt -o filenames; COMPREPLY+=($(compgen -d -- \"$cur\")) ;;\n"
        "\t\t*)\n"
        "\t\t\tline=${line%%$'\\t'*}\n"
        "\t\t\t[[ $line == \"$cur\"* ]] && COMPREPLY+=(\"$line\")\n"
        "\t\t\t;;\n"
        "\t\tesac\n"
        "\tdone\n"
        "}\n"
        "complete -F _zk zk\n";

static const char zsh[] =
        "#compdef zk\n"
        "_zk() {\n"
        "\tlocal -a lines values\n"
        "\tlocal line\n"
        "\tlines=(${(f)\"$(${words[1]} __complete -- \"${(@)words[2,CURRENT]}\" "
        "2>/dev/null)\"})\n"
        "\tfor line in $lines; do\n"
        "\t\tcase $line in\n"
        "\t\t:file) _files ;;\n"
        "\t\t:dir) _files -/ ;;\n"
        "\t\t*) values+=(\"${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}\") ;;\n"
        "\t\tesac\n"
        "\tdone\n"
        "\t_describe -t values value values\n"
        "}\n"
        "compdef _zk zk\n";

static const char fish[] =
        "function __zk_complete\n"
        "    set -l tokens (commandline -opc) (commandline -ct)\n"
        "    for line in ($tokens[1] __complete -- $tokens[2..-1] 2>/dev/null)\n"
        "        switch $line\n"
        "            case :file\n"
        "                __fish_complete_path (commandline -ct)\n"
        "            case :dir\n"
        "                __fish_complete_directories (commandline -ct)\n"
        "            case '*'\n"
        "                echo $line\n"
        "        end\n"
        "    end\n"
        "end\n"
        "complete -c zk -f -a '(__zk_complete)'\n";

zk_str zk_completion_script(zk_str shell)
{
	if (zk_str_eq(shell, ZK_STR("bash")))
		return ZK_STR(bash);
	if (zk_str_eq(shell, ZK_STR("zsh")))
		return ZK_STR(zsh);
	return zk_str_eq(shell, ZK_STR("fish")) ? ZK_STR(fish) : ZK_STR("");
}
