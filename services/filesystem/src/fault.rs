//! What goes wrong with files, in words that a model can act on and that name no path outside the roots.

use rustix::io::Errno;
use weft_kit::ToolError;

/// An error of the operating system about `path`, as the caller wrote it.
pub(crate) fn system(path: &str, error: Errno) -> ToolError {
    match error {
        Errno::NOENT => ToolError::not_found(format!("{path} does not exist")),
        Errno::XDEV => ToolError::refused(format!("{path} leads outside the allowed directories"))
            .hint("list_allowed_directories says which are allowed; links that leave them are not followed"),
        Errno::LOOP => ToolError::refused(format!("{path} goes through a symbolic link that may not be followed")),
        Errno::EXIST => ToolError::conflict(format!("{path} exists already")),
        Errno::NOTDIR => ToolError::invalid(format!("{path} is not a directory, or goes through a file")),
        Errno::ISDIR => ToolError::invalid(format!("{path} is a directory")),
        Errno::NOTEMPTY => ToolError::conflict(format!("{path} is not empty")),
        Errno::NAMETOOLONG => ToolError::invalid(format!("{} is too long", shorten(path))),
        Errno::INVAL | Errno::ILSEQ => ToolError::invalid(format!("{} is not a usable path", shorten(path))),
        Errno::ACCESS | Errno::PERM | Errno::ROFS => {
            ToolError::refused(format!("{path} may not be accessed by the server's user"))
        }
        Errno::NOSPC | Errno::DQUOT => ToolError::unavailable("no space is left on the device"),
        Errno::NXIO | Errno::NODEV => not_regular(path, "a special file"),
        other => ToolError::internal(&other),
    }
}

/// Any I/O error about `path`.
pub(crate) fn io(path: &str, error: &std::io::Error) -> ToolError {
    match Errno::from_io_error(error) {
        Some(errno) => system(path, errno),
        None => ToolError::internal(error),
    }
}

/// Something that is no file.
pub(crate) fn not_regular(path: &str, what: &str) -> ToolError {
    ToolError::refused(format!("{path} is {what}, not a regular file"))
}

/// A path short enough for a message.
pub(crate) fn shorten(path: &str) -> String {
    if path.chars().count() <= 120 {
        path.to_owned()
    } else {
        format!("{}…", path.chars().take(120).collect::<String>())
    }
}
