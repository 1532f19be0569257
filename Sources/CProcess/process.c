#define _GNU_SOURCE
#include "CProcess.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

pid_t cp_fork(void) { return fork(); }

long cp_thread_count(void) {
  struct stat status;
  return stat("/proc/self/task", &status) == 0 && status.st_nlink > 2 ? (long)status.st_nlink - 2 : 0;
}

int cp_memory_descriptor(void) { return memfd_create("ingot", MFD_CLOEXEC); }

int cp_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

// Limits only go down: a user who has set lower ones keeps them.
static int lower(int resource, rlim_t bound) {
  struct rlimit limit;
  if (getrlimit(resource, &limit)) return -1;
  if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max > bound) limit.rlim_max = bound;
  limit.rlim_cur = limit.rlim_max;
  return setrlimit(resource, &limit);
}

int cp_confine(uint64_t memory_byte_count, double processor_seconds, double wall_seconds) {
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
  if (lower(RLIMIT_AS, bound) || lower(RLIMIT_CPU, (rlim_t)processor_seconds + 2) || lower(RLIMIT_CORE, 0) || lower(RLIMIT_FSIZE, 0)) return -1;
  // RLIMIT_CPU counts whole seconds; these timers end the process by SIGPROF and SIGALRM.
  struct itimerval processor = {{0, 0}, {(time_t)processor_seconds, (suseconds_t)((processor_seconds - (double)(time_t)processor_seconds) * 1e6)}};
  struct itimerval wall = {{0, 0}, {(time_t)wall_seconds, 0}};
  return setitimer(ITIMER_PROF, &processor, NULL) || setitimer(ITIMER_REAL, &wall, NULL) ? -1 : 0;
}

int cp_send_request(int socket, const void *bytes, size_t count, int first, int second) {
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

ssize_t cp_receive_request(int socket, void *bytes, size_t count, int *first, int *second) {
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

void cp_begin_writeback(int descriptor) {
#ifdef __linux__
  sync_file_range(descriptor, 0, 0, SYNC_FILE_RANGE_WRITE);
#else
  (void)descriptor;
#endif
}

void *cp_grow_pages(void *base, size_t count, size_t grown) {
    void *result = base == NULL ? mmap(NULL, grown, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                                : mremap(base, count, grown, MREMAP_MAYMOVE);
    if (result == MAP_FAILED) return NULL;
    madvise(result, grown, MADV_HUGEPAGE);
    return result;
}

typedef struct {
    cpu_set_t processors;
    void *(*body)(void *);
    void *argument;
} thread_start;

static void *start_elsewhere(void *argument) {
    thread_start start = *(thread_start *)argument;
    free(argument);
    sched_setaffinity(0, sizeof start.processors, &start.processors);
    return start.body(start.argument);
}

int cp_start_thread(pthread_t *thread, void *(*body)(void *), void *argument) {
    thread_start *start = malloc(sizeof *start);
    int here = sched_getcpu();
    if (start != NULL && here >= 0 && here < CPU_SETSIZE && sched_getaffinity(0, sizeof start->processors, &start->processors) == 0) {
        start->body = body;
        start->argument = argument;
        cpu_set_t others = start->processors;
        CPU_CLR(here, &others);
        pthread_attr_t attributes;
        if (CPU_COUNT(&others) > 0 && pthread_attr_init(&attributes) == 0) {
            int status = pthread_attr_setaffinity_np(&attributes, sizeof others, &others);
            if (status == 0) status = pthread_create(thread, &attributes, start_elsewhere, start);
            pthread_attr_destroy(&attributes);
            if (status == 0) return 0;
        }
    }
    free(start);
    return pthread_create(thread, NULL, body, argument);
}

int cp_processor(void) { return sched_getcpu(); }

void cp_keep_off(int processor, unsigned threads) {
    // What the thread may run on by itself, and which of these it keeps off now.
    static _Thread_local cpu_set_t processors;
    static _Thread_local int is_known, kept_off = -1;
    if (!is_known) {
        if (sched_getaffinity(0, sizeof processors, &processors) != 0) return;
        is_known = 1;
    }
    cpu_set_t others = processors;
    int wanted = -1;
    if (processor >= 0 && processor < CPU_SETSIZE && CPU_ISSET(processor, &processors) && threads <= (unsigned)CPU_COUNT(&processors)) {
        CPU_CLR(processor, &others);
        wanted = processor;
    }
    if (wanted != kept_off && sched_setaffinity(0, sizeof others, &others) == 0) kept_off = wanted;
}
