//! The examples are the other files in this folder. Each one is a program for one task.
