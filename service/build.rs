//! Lists the files of the page, so that a new one is compiled in by being there.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?).join("page");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut names = match fs::read_dir(&folder) {
        Ok(names) => names.collect::<io::Result<Vec<_>>>()?,
        // A package without the page serves the API alone.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    names.sort_by_key(fs::DirEntry::file_name);
    let mut list = String::from("/// The files of the page, by name.\nconst FILES: &[(&str, &[u8])] = &[\n");
    for file in names.iter().filter(|file| file.file_type().is_ok_and(|kind| kind.is_file())) {
        let (name, path) = (file.file_name(), file.path());
        println!("cargo::rerun-if-changed={}", path.display());
        let _ = writeln!(list, "    ({:?}, include_bytes!({:?})),", name.to_string_lossy(), path);
    }
    list.push_str("];\n");
    fs::write(Path::new(&env::var("OUT_DIR").map_err(io::Error::other)?).join("page.rs"), list)
}
