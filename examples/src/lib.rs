//! Examples live beside this file, one program a task.
