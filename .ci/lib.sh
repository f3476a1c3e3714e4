# Functions of .ci/run and .ci/full; sourced, not run.

die() { echo ".ci: $*" >&2; exit 1; }

step() { echo; echo "== $* ($((SECONDS / 60)) min $((SECONDS % 60)) s)"; }

# copy_checkout FROM TO: the files that belong to the project, as they lie there now, and nothing that was built.
copy_checkout() {
    local from=$1 to=$2
    if git -C "$from" rev-parse --is-inside-work-tree > /dev/null 2>&1; then
        # A deleted file that is still tracked is listed too, and is no error.
        (cd "$from" && git ls-files -z --cached --others --exclude-standard |
            while IFS= read -r -d '' path; do [ ! -e "$path" ] || printf '%s\0' "$path"; done |
            tar --create --null --no-recursion --files-from=-) | tar --extract --directory="$to"
    else
        tar --create --directory="$from" --exclude-vcs --exclude=.venv --exclude=build --exclude='*.egg-info' \
            --exclude=__pycache__ . | tar --extract --directory="$to"
    fi
}

# readme_block FILE N: the lines of the N-th ```sh block.
readme_block() {
    awk -v wanted="$2" '
        /^```sh[[:space:]]*$/ { block++; inside = 1; next }
        /^```/                { inside = 0; next }
        inside && block == wanted
    ' "$1"
}

# python_on_path FOLDER: README says python3.11; where the machine has only a newer python3, FOLDER gets one of that name.
python_on_path() {
    python3.11 -c 'pass' 2> /dev/null && return
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null || die "neither python3.11 nor a newer python3 runs"
    mkdir -p "$1"
    printf '#!/bin/sh\nexec "%s" "$@"\n' "$(python3 -c 'import sys; print(sys.executable)')" > "$1/python3.11"
    chmod +x "$1/python3.11"
    export PATH="$1:$PATH"
}

# run_lines TEXT: each line as one command of this shell; the first that fails ends the script. Not a subshell, since a
# line may enter a virtual environment. A line that ends in \ or && goes on in the next.
run_lines() {
    local line command=
    while IFS= read -r line <&3; do
        line=${line%"${line##*[![:space:]]}"}
        command+=${line%\\}
        [[ $line == *\\ || $line == *'&&' ]] && { command+=' '; continue; }
        [ -z "$command" ] || {
            echo "\$ $command"
            eval "$command" || die "this command of README.md failed: $command"
        }
        command=
    done 3<<< "$1"
}

# lines_of_code: lines that are neither blank nor comment, by room.
lines_of_code() {
    local place
    {
        for place in pipeline/*.py pipeline/*/ training/ tests/ benchmarks/; do
            [ -e "$place" ] || continue
            printf '%6d  %s\n' "$(find "$place" -name '*.py' -exec cat {} + | grep -cvE '^[[:space:]]*(#|$)' || true)" "$place"
        done
    } | awk '{ print; sum += $1 } END { printf "%6d  in all\n", sum }'
}
