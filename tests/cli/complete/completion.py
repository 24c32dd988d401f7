"""Completions: the committed files and the scripts of `zk completion` offer what the command
table has, in bash, zsh and fish."""

import json
import os
import shutil
import subprocess

import zkt

STATIC = zkt.SRC / "completions"
TABLE = zkt.zk("emit", "json").json["commands"]
VISIBLE = [c for c in TABLE if not c["hidden"]]


def shell(program, script, *args, env=None):
    """Runs a script of another shell in which `zk` is the binary under test."""
    bin_dir = zkt.tmp()
    os.symlink(zkt.ZK, os.path.join(bin_dir, "zk"))
    env = {**os.environ, "PATH": bin_dir + ":" + os.environ["PATH"], **(env or {})}
    p = subprocess.run([program, *args, "-c", script], capture_output=True, text=True, env=env,
                       cwd=zkt.tmp(), timeout=60 * zkt.SLOW, check=False)
    zkt.need(p.returncode == 0, f"{program}: {p.stderr}")
    return p.stdout


def bash(source, *words, files=()):
    """What bash offers for the last of the words."""
    quoted = " ".join("'" + w.replace("'", "'\\''") + "'" for w in ("zk", *words))
    touch = "".join(f"touch '{f}';" for f in files)
    script = (f"{touch} {source}; COMP_WORDS=({quoted}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); "
              "compopt() { :; }; _zk 2>&1; printf '%s\\n' \"${COMPREPLY[@]}\"")
    return sorted(set(filter(None, shell("bash", script, "--norc").split("\n"))))


SOURCES = {
    "file": f"source '{STATIC}/zk.bash'",
    "thin": "eval \"$(zk completion bash)\"",
}


def long_options(command):
    names = set()
    taken = {o["name"] for o in command["options"]}
    for o in command["options"]:
        if o["hidden"]:
            continue
        if o["type"] == "secret-ref":
            names |= {f"--{o['name']}-file", f"--{o['name']}-fd"}
            continue
        names.add("--" + o["name"])
        if "inverse" in o and o["inverse"] not in taken:
            names.add("--" + o["inverse"])
    return names


def first_words():
    return sorted({c["path"].split()[0] for c in VISIBLE})


def test_bash_commands():
    for name, source in SOURCES.items():
        zkt.equal(bash(source, ""), first_words(), f"{name}: all commands")
        zkt.equal(bash(source, "ver"), ["version"], f"{name}: a beginning")
        zkt.equal(bash(source, "--color", "never", "ver"), ["version"],
                  f"{name}: behind an option with a value")
        zkt.equal(bash(source, "-q", "ver"), ["version"], f"{name}: behind a flag")


def test_bash_verbs_of_every_group():
    for group in (c for c in VISIBLE if not c["runs"]):
        path = group["path"]
        verbs = sorted({c["path"][len(path) + 1:].split()[0] for c in VISIBLE
                        if c["path"].startswith(path + " ")})
        for name, source in SOURCES.items():
            zkt.equal(bash(source, *path.split(), ""), verbs, f"{name}: verbs of {path}")


def test_bash_options_of_every_command():
    for command in (c for c in VISIBLE if c["runs"]):
        want = long_options(command)
        for name, source in SOURCES.items():
            got = set(bash(source, *command["path"].split(), "--"))
            zkt.equal(got, want, f"{name}: options of {command['path']}",
                      lambda got=got, want=want: f"differ: {got ^ want}")


def test_bash_values():
    for name, source in SOURCES.items():
        zkt.equal(bash(source, "version", "--color", ""), ["always", "auto", "never"],
                  f"{name}: values of an option")
        zkt.equal(bash(source, "version", "--color", "a"), ["always", "auto"],
                  f"{name}: values by their beginning")
        zkt.equal(bash(source, "explain", "ZK110"),
                  ["ZK1101", "ZK1102", "ZK1103", "ZK1104", "ZK1105", "ZK1106"],
                  f"{name}: error codes")
        zkt.contains("cron", bash(source, "help", ""), f"{name}: topics")
        zkt.equal(bash(source, "version", "--log-file", "no", files=["notes"]), ["notes"],
                  f"{name}: files")
        zkt.equal(bash(source, "completion", ""), ["bash", "fish", "zsh"], f"{name}: shells")
    # bash splits --color=a into three words.
    zkt.equal(bash(SOURCES["file"], "version", "--color", "=", "a"), ["always", "auto"],
              "file: values behind '='")


def test_profiles():
    home = zkt.tmp()
    os.makedirs(home + "/zk")
    zkt.write(home + "/zk/config.yaml", "version: 1\nprofiles: { local: {}, prod: {} }\n")
    os.environ["XDG_CONFIG_HOME"] = home
    try:
        for name, source in SOURCES.items():
            zkt.equal(bash(source, "version", "-p", ""), ["local", "prod"], f"{name}: profiles")
        zkt.write(home + "/zk/config.yaml", "version: [\n")
        r = zkt.zk("__complete", "profile", env={"XDG_CONFIG_HOME": home})
        zkt.equal((r.status, r.out, r.err), (0, "", ""), "a broken file offers nothing, silently")
    finally:
        del os.environ["XDG_CONFIG_HOME"]


def test_complete_protocol():
    zkt.equal(zkt.zk("__complete", "--", "version", "--colo").out.count("--color\t"), 1,
              "options come with their help")
    zkt.contains("--color=never\t", zkt.zk("__complete", "--", "version", "--color=n").out,
                 "a value behind '=' keeps its option")
    zkt.equal(zkt.zk("__complete", "--", "version", "--log-file", "").out, ":file\n",
              "files are left to the shell")
    zkt.equal(zkt.zk("__complete", "nonsense").status, 0, "an unknown kind is silent")
    zkt.equal(zkt.zk("__complete", "--").status, 0, "no words at all")


def test_zsh():
    if not shutil.which("zsh"):
        zkt.skip("zsh", "not installed")
        return
    # The completion system itself is replaced by functions that print what they were given.
    stub = """
_describe() { print -rl -- ${(P)@[-1]} }
_files() { print -r files }
_arguments() { print -rl -- "$@" }
words=(zk %s); CURRENT=$#words; PREFIX=${words[-1]}
source %s
"""
    script = stub % ("''", STATIC / "_zk")
    got = sorted(line.split(":")[0] for line in shell("zsh", script, "-f").splitlines())
    zkt.equal(got, first_words(), "zsh: all commands")
    got = shell("zsh", stub % ("-q version --", STATIC / "_zk"), "-f")
    command = next(c for c in VISIBLE if c["path"] == "version")
    for option in long_options(command):
        zkt.ok(any(line.lstrip("*").startswith((option + "[", option + "="))
                   for line in got.splitlines()),
               f"zsh: version has {option}", got)
    for path in (STATIC / "_zk",):
        zkt.equal(subprocess.run(["zsh", "-n", path], check=False).returncode, 0,
                  "zsh: syntax of the file")
    thin = zkt.write(zkt.tmp() + "/_zk", zkt.zk("completion", "zsh").out)
    zkt.equal(subprocess.run(["zsh", "-n", thin], check=False).returncode, 0,
              "zsh: syntax of the thin script")


def fish(source, line):
    out = shell("fish", f"{source}; complete -C '{line}'", "--no-config")
    return sorted(row.split("\t")[0] for row in out.splitlines())


def test_fish():
    if not shutil.which("fish"):
        zkt.skip("fish", "not installed")
        return
    for name, source in {"file": f"source {STATIC}/zk.fish",
                         "thin": "zk completion fish | source"}.items():
        zkt.equal(fish(source, "zk "), first_words(), f"fish, {name}: all commands")
        zkt.equal(fish(source, "zk ver"), ["version"], f"fish, {name}: a beginning")
        zkt.equal(fish(source, "zk version --color "), ["always", "auto", "never"],
                  f"fish, {name}: values")
        command = next(c for c in VISIBLE if c["path"] == "version")
        got = {o.rstrip("=") for o in fish(source, "zk version --")}
        zkt.ok(long_options(command) <= got, f"fish, {name}: options",
               long_options(command) - got)


def test_hidden_commands_stay_hidden():
    hidden = [c["path"] for c in TABLE if c["hidden"]]
    zkt.ok(hidden, "there are hidden commands")
    text = zkt.zk("--help").out + json.dumps(bash(SOURCES["file"], "")) + \
        zkt.zk("completion", "bash").out.replace("__complete --", "")
    for path in hidden:
        zkt.ok(path not in text.split(), f"{path} is not offered")


zkt.main()
