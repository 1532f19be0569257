#pragma once
// What Swift has no words for: fork, descriptors sent over a socket, limits on a process, places of threads, writing begun ahead of a sync.
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Swift hides fork, since a child of a process with threads may find any lock taken. Call it only where `cp_thread_count` is 1.
pid_t cp_fork(void);

// Threads of this process; 0 if the system does not say.
long cp_thread_count(void);

// A file without a name, in memory; -1 if there is none to be had.
int cp_memory_descriptor(void);

// A pipe that programs started from here do not inherit.
int cp_pipe(int ends[2]);

// Makes this process, a child about to read bytes of a stranger, one that can do no harm: bounded address space and time, no files made, no
// core dumps, nothing said on the terminal, every signal as deadly as it is by default, dead when its parent is. It ends by SIGPROF or
// SIGALRM when its time is over. Not 0 if the system refuses.
int cp_confine(uint64_t memory_byte_count, double processor_seconds, double wall_seconds);

// Sends a message and two descriptors with it; -1 and errno if it can't be sent.
int cp_send_request(int socket, const void *bytes, size_t count, int first, int second);

// Waits for a message with two descriptors: its length, or 0 where the other end is closed or sends something else.
ssize_t cp_receive_request(int socket, void *bytes, size_t count, int *first, int *second);

// Has the system begin to bring a file's written pages to the disk, without waiting; a hint, whose failure has no consequence.
void cp_begin_writeback(int descriptor);

// Anonymous memory of `count` bytes, NULL with 0 at first, made `grown` bytes by moving its pages, in large ones where the system has them.
// NULL if there is no memory; the old is then as it was. munmap gives it back.
void *cp_grow_pages(void *base, size_t count, size_t grown);

// pthread_create with a thread that begins on another processor than this one, if it may run on another, and may then go where the caller
// may. Where a thread has just ended on another, Linux takes that one for busy, and lets the new one wait up to three milliseconds behind
// its creator.
int cp_start_thread(pthread_t *thread, void *(*body)(void *), void *argument);

// The processor that the calling thread is on; -1 if the system does not say.
int cp_processor(void);

// Keeps the calling thread, one of `threads` that work together, off the processor that the one it waits for is on, if it may run on processors for
// all of them; and lets it go where it could before if not. Woken behind that one, which then waits for it, it would begin only at the system's next tick.
void cp_keep_off(int processor, unsigned threads);
