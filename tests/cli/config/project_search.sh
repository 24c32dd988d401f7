# shellcheck shell=bash
# Outside of a repository and of HOME only the working directory counts: whoever may write to a
# folder above could plant a file there.
mkdir -p plain/sub "$HOME/in/home"
printf 'version: [\n' >plain/.zk.yaml
(cd plain && "$ZK" config validate 2>/dev/null) || echo "here: status $?"
(cd plain/sub && "$ZK" config validate) && echo "above, no boundary: not read"
mkdir plain/.git
(cd plain/sub && "$ZK" config validate 2>/dev/null) || echo "above, in a repository: status $?"
printf 'version: [\n' >"$HOME/.zk.yaml"
(cd "$HOME/in/home" && "$ZK" config validate 2>/dev/null) || echo "in HOME: status $?"
(cd plain/sub && "$ZK" config validate --no-config) && echo "--no-config: not read"
printf 'version: 1\n' >c.yaml
(cd plain && "$ZK" config validate -c ../c.yaml) && echo "-c: not read"
