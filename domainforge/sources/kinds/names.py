"""Names of files that tell their kind, where these are many."""

TAR_ENDINGS = (
    *(".tar", ".tgz", ".tbz2", ".txz", ".tzst"),
    *(".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst"),
)
WARC_ENDINGS = (".warc", ".warc.gz", ".warc.zst", ".wet", ".wet.gz", ".wet.zst")
MARKUP_ENDINGS = (".tex", ".adoc", ".asciidoc", ".org", ".srt", ".vtt", ".po")
# Ending to the language as Markdown fences name it.
LANGUAGES = {
    ".py": "python", ".pyi": "python", ".pyx": "cython", ".js": "javascript", ".mjs": "javascript",
    ".cjs": "javascript", ".jsx": "jsx", ".ts": "typescript", ".tsx": "tsx", ".vue": "vue",
    ".svelte": "svelte", ".java": "java", ".kt": "kotlin", ".kts": "kotlin", ".scala": "scala",
    ".groovy": "groovy", ".gradle": "groovy", ".clj": "clojure", ".c": "c", ".h": "c", ".cc": "cpp",
    ".cpp": "cpp", ".cxx": "cpp", ".hh": "cpp", ".hpp": "cpp", ".cu": "cuda", ".m": "objectivec",
    ".cs": "csharp", ".fs": "fsharp", ".vb": "vbnet", ".go": "go", ".rs": "rust", ".zig": "zig",
    ".swift": "swift", ".dart": "dart", ".rb": "ruby", ".php": "php", ".pl": "perl", ".pm": "perl",
    ".lua": "lua", ".r": "r", ".jl": "julia", ".f90": "fortran", ".hs": "haskell", ".ml": "ocaml",
    ".ex": "elixir", ".exs": "elixir", ".erl": "erlang", ".lisp": "lisp", ".el": "lisp",
    ".scm": "scheme", ".sh": "bash", ".bash": "bash", ".zsh": "bash", ".fish": "fish",
    ".ps1": "powershell", ".bat": "bat", ".sql": "sql", ".proto": "protobuf", ".thrift": "thrift",
    ".graphql": "graphql", ".tf": "hcl", ".hcl": "hcl", ".nix": "nix", ".cmake": "cmake",
    ".sol": "solidity", ".v": "verilog", ".vhd": "vhdl", ".asm": "asm", ".s": "asm", ".css": "css",
    ".scss": "scss", ".less": "less", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml",
    ".ini": "ini", ".cfg": "ini", ".conf": "ini", ".properties": "properties",
}  # fmt: skip
FILE_NAMES = {
    "makefile": "makefile", "gnumakefile": "makefile", "dockerfile": "dockerfile",
    "containerfile": "dockerfile", "jenkinsfile": "groovy", "vagrantfile": "ruby",
    "rakefile": "ruby", "gemfile": "ruby", "procfile": "", "justfile": "makefile",
    "cmakelists.txt": "cmake", "build.bazel": "python", "go.mod": "go",
}  # fmt: skip
# Written by a package tool for itself: names and hashes without end.
LOCK_FILES = (
    *("package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "cargo.lock"),
    *("poetry.lock", "uv.lock", "pdm.lock", "pipfile.lock", "gemfile.lock", "composer.lock"),
    *("go.sum", "flake.lock", "pubspec.lock", "mix.lock", "packages.lock.json"),
)
