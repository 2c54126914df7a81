//! The examples stand beside this file, one program for each task.
