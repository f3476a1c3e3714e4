"""The programming language of a file, by its name or its first line. Names are those of GitHub Linguist."""

import re
from pathlib import PurePosixPath

_ENDINGS = {
    "Ada": "adb ads", "Assembly": "asm s", "C": "c h", "C#": "cs", "C++": "cc cpp cxx c++ hpp hh hxx h++ ipp",
    "CMake": "cmake", "CSS": "css", "Clojure": "clj cljs cljc", "CoffeeScript": "coffee",
    "Common Lisp": "lisp lsp cl", "Crystal": "cr", "Cuda": "cu cuh", "D": "d", "Dart": "dart", "Elixir": "ex exs",
    "Elm": "elm", "Emacs Lisp": "el", "Erlang": "erl hrl", "F#": "fs fsi fsx",
    "Fortran": "f f77 f90 f95 f03 f08 for", "GLSL": "glsl vert frag", "Go": "go", "Groovy": "groovy gradle",
    "HTML": "html htm", "Haskell": "hs lhs", "Java": "java", "JavaScript": "js mjs cjs jsx", "Julia": "jl",
    "Jupyter Notebook": "ipynb", "Kotlin": "kt kts", "Lean": "lean", "Lua": "lua", "MATLAB": "m",
    "Makefile": "mk mak", "Nim": "nim", "Nix": "nix", "OCaml": "ml mli", "Objective-C++": "mm",
    "PHP": "php php5 phtml", "Pascal": "pas pp dpr", "Perl": "pl pm t pod", "PowerShell": "ps1 psm1",
    "Prolog": "pro", "Python": "py pyi pyx pxd", "R": "r", "Racket": "rkt", "Ruby": "rb rake gemspec", "Rust": "rs",
    "SCSS": "scss", "SQL": "sql", "Sass": "sass", "Scala": "scala sc", "Scheme": "scm ss",
    "Shell": "sh bash zsh ksh", "Solidity": "sol", "Swift": "swift", "SystemVerilog": "sv svh", "Tcl": "tcl",
    "TeX": "tex sty cls", "TypeScript": "ts tsx mts cts", "VHDL": "vhd vhdl", "Verilog": "v vh",
    "Vim Script": "vim", "Visual Basic .NET": "vb", "Vue": "vue", "Zig": "zig", "Svelte": "svelte",
    "Thrift": "thrift", "Protocol Buffer": "proto", "GraphQL": "graphql gql",
}  # fmt: skip
_BY_ENDING = {ending: language for language, endings in _ENDINGS.items() for ending in endings.split()}
_BY_NAME = {
    "makefile": "Makefile", "gnumakefile": "Makefile", "cmakelists.txt": "CMake", "dockerfile": "Dockerfile",
    "rakefile": "Ruby", "gemfile": "Ruby", "vagrantfile": "Ruby", "jenkinsfile": "Groovy", "sconstruct": "Python",
    "sconscript": "Python",
}  # fmt: skip
_INTERPRETERS = {
    "sh": "Shell", "bash": "Shell", "dash": "Shell", "zsh": "Shell", "ksh": "Shell", "python": "Python",
    "pypy": "Python", "perl": "Perl", "ruby": "Ruby", "node": "JavaScript", "nodejs": "JavaScript",
    "deno": "TypeScript", "lua": "Lua", "php": "PHP", "tclsh": "Tcl", "wish": "Tcl", "rscript": "R",
    "julia": "Julia", "awk": "Awk", "gawk": "Awk", "runghc": "Haskell", "guile": "Scheme", "groovy": "Groovy",
    "escript": "Erlang", "elixir": "Elixir", "make": "Makefile",
}  # fmt: skip
_SHEBANG = re.compile(r"#![ \t]*+(?:\S*/)?env[ \t]++(?:-\S++[ \t]++)*+([^\s/]++)|#![ \t]*+(?:[^\s/]*+/)*+([^\s/]++)")


def language_of(path: str, text: str) -> str:
    """The language of the file at `path`; "" if neither its name nor a `#!` line tells one."""
    name = PurePosixPath(path).name.lower()
    _, dot, ending = name.rpartition(".")
    if found := _BY_NAME.get(name) or (_BY_ENDING.get(ending, "") if dot else ""):
        return found
    shebang = _SHEBANG.match(text)
    interpreter = (shebang[1] or shebang[2]).lower().rstrip("0123456789.") if shebang else ""
    return _INTERPRETERS.get(interpreter, "")
