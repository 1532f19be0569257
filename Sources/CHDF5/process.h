#pragma once
// What parsing in a child process needs and Swift has no words for: fork, descriptors sent over a socket, limits on a process.
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

// Swift hides fork, since a child of a process with threads may find any lock taken. Call it only where `ch_thread_count` is 1.
static inline pid_t ch_fork(void) { return fork(); }

// Threads of this process; 0 if the system does not say.
static inline long ch_thread_count(void) {
  struct stat status;
  return stat("/proc/self/task", &status) == 0 && status.st_nlink > 2 ? (long)status.st_nlink - 2 : 0;
}

// A file without a name, in memory; -1 if there is none to be had.
static inline int ch_memory_descriptor(void) { return (int)syscall(SYS_memfd_create, "ingot", 1u /* MFD_CLOEXEC */); }

// A pipe that programs started from here do not inherit.
static inline int ch_pipe(int ends[2]) { return (int)syscall(SYS_pipe2, ends, O_CLOEXEC); }

// Makes this process, a child about to run libhdf5 on bytes of a stranger, one that can do no harm: bounded address space and time, no files
// made, no core dumps, nothing said on the terminal, every signal as deadly as it is by default, dead when its parent is.
static inline int ch_confine(uint64_t memory_byte_count, double processor_seconds, double wall_seconds) {
  // Handlers of the parent (temporary files, backtraces) are not this process's business.
  static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGABRT, SIGINT, SIGTERM, SIGHUP, SIGPROF, SIGALRM, SIGXCPU, SIGPIPE};
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) signal(signals[i], SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null >= 0) dup2(null, 1), dup2(null, 2);
  // What is mapped already does not count.
  unsigned long long pages = 0;
  FILE *memory = fopen("/proc/self/statm", "r");
  if (memory) {
    if (fscanf(memory, "%llu", &pages) != 1) pages = 0;
    fclose(memory);
  }
  if (!pages) return -1;
  rlim_t bound = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + memory_byte_count;
  struct rlimit space = {bound, bound}, zero = {0, 0};
  rlim_t seconds = (rlim_t)processor_seconds + 2;
  struct rlimit time = {seconds, seconds};
  if (setrlimit(RLIMIT_AS, &space) || setrlimit(RLIMIT_CPU, &time) || setrlimit(RLIMIT_CORE, &zero) || setrlimit(RLIMIT_FSIZE, &zero))
    return -1;
  // RLIMIT_CPU counts whole seconds; these timers end the process by SIGPROF and SIGALRM.
  struct itimerval processor = {{0, 0}, {(time_t)processor_seconds, (suseconds_t)((processor_seconds - (double)(time_t)processor_seconds) * 1e6)}};
  struct itimerval wall = {{0, 0}, {(time_t)wall_seconds, 0}};
  return setitimer(ITIMER_PROF, &processor, NULL) || setitimer(ITIMER_REAL, &wall, NULL) ? -1 : 0;
}

// Sends a message and two descriptors with it; -1 and errno if it can't be sent.
static inline int ch_send_request(int socket, const void *bytes, size_t count, int first, int second) {
  struct iovec part = {(void *)bytes, count};
  union { struct cmsghdr header; char bytes[CMSG_SPACE(2 * sizeof(int))]; } control;
  memset(&control, 0, sizeof control);
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET, header->cmsg_type = SCM_RIGHTS, header->cmsg_len = CMSG_LEN(2 * sizeof(int));
  int descriptors[2] = {first, second};
  memcpy(CMSG_DATA(header), descriptors, sizeof descriptors);
  return sendmsg(socket, &message, MSG_NOSIGNAL) == (ssize_t)count ? 0 : -1;
}

// Waits for a message with two descriptors: its length, or 0 where the other end is closed or sends something else.
static inline ssize_t ch_receive_request(int socket, void *bytes, size_t count, int *first, int *second) {
  struct iovec part = {bytes, count};
  union { struct cmsghdr header; char bytes[CMSG_SPACE(2 * sizeof(int))]; } control;
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  ssize_t received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  struct cmsghdr *header = received > 0 ? CMSG_FIRSTHDR(&message) : NULL;
  if (!header || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(2 * sizeof(int))) return received < 0 ? -1 : 0;
  int descriptors[2];
  memcpy(descriptors, CMSG_DATA(header), sizeof descriptors);
  *first = descriptors[0], *second = descriptors[1];
  return received;
}
