#pragma once
// A libhdf5 driver that keeps what is written in pages of memory: for the structure of a file whose bulk never passes through the library.
//
// The library crashes when a write fails, so it does not get to write; and memory grows with what is written, not with the file's size.
#include <hdf5.h>
#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CH_PAGE_SIZE = 4096 };

typedef struct {
  uint64_t number;       // position in the file, in pages
  unsigned char *bytes;  // CH_PAGE_SIZE of them; NULL for a free slot
} ch_page;

// A hash table of pages, at most half full.
typedef struct {
  ch_page *slots;
  size_t capacity, count;  // capacity is a power of two or 0
  uint64_t byte_count;     // of the file, once it is closed
  int descriptor;          // where whole pages of elements go at once; -1 keeps them too
  int error;               // errno of the first of these writes that failed
} ch_memory;

static inline void ch_memory_free(ch_memory *memory) {
  for (size_t i = 0; i < memory->capacity; i++) free(memory->slots[i].bytes);
  free(memory->slots);
  *memory = (ch_memory){0};
}

static inline ch_page *ch_memory_slot(const ch_memory *memory, uint64_t number) {
  size_t i = (size_t)(number * 0x9E3779B97F4A7C15u >> 20) & (memory->capacity - 1);
  while (memory->slots[i].bytes && memory->slots[i].number != number) i = (i + 1) & (memory->capacity - 1);
  return &memory->slots[i];
}

// The bytes of a page, made of zeros if it is new; NULL without memory.
static inline unsigned char *ch_memory_page(ch_memory *memory, uint64_t number) {
  if (2 * (memory->count + 1) > memory->capacity) {
    ch_memory grown = *memory;
    grown.capacity = memory->capacity ? 2 * memory->capacity : 64;
    grown.slots = calloc(grown.capacity, sizeof *grown.slots);
    if (!grown.slots) return NULL;
    for (size_t i = 0; i < memory->capacity; i++)
      if (memory->slots[i].bytes) *ch_memory_slot(&grown, memory->slots[i].number) = memory->slots[i];
    free(memory->slots);
    *memory = grown;
  }
  ch_page *slot = ch_memory_slot(memory, number);
  if (!slot->bytes) {
    slot->bytes = calloc(1, CH_PAGE_SIZE);
    if (!slot->bytes) return NULL;
    slot->number = number;
    memory->count++;
  }
  return slot->bytes;
}

typedef struct {
  H5FD_t base;  // the library's part, first
  ch_memory *memory;
  haddr_t end_of_allocation, end_of_file;
} ch_memory_file;

static inline H5FD_t *ch_memory_open(const char *name, unsigned flags, hid_t access, haddr_t limit) {
  (void)name, (void)flags, (void)limit;
  ch_memory *const *info = H5Pget_driver_info(access);
  ch_memory_file *file = info ? calloc(1, sizeof *file) : NULL;
  if (file) file->memory = *info;
  return (H5FD_t *)file;
}

static inline herr_t ch_memory_close(H5FD_t *base) {
  ch_memory_file *file = (ch_memory_file *)base;
  file->memory->byte_count = file->end_of_allocation;
  free(file);
  return 0;
}

// As the library's own driver for files, so that the layout is the same.
static inline herr_t ch_memory_query(const H5FD_t *base, unsigned long *flags) {
  (void)base;
  *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE | H5FD_FEAT_AGGREGATE_SMALLDATA |
           H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
  return 0;
}

static inline haddr_t ch_memory_get_eoa(const H5FD_t *base, H5FD_mem_t type) {
  (void)type;
  return ((const ch_memory_file *)base)->end_of_allocation;
}

static inline herr_t ch_memory_set_eoa(H5FD_t *base, H5FD_mem_t type, haddr_t address) {
  (void)type;
  ((ch_memory_file *)base)->end_of_allocation = address;
  return 0;
}

static inline haddr_t ch_memory_get_eof(const H5FD_t *base, H5FD_mem_t type) {
  (void)type;
  return ((const ch_memory_file *)base)->end_of_file;
}

static inline herr_t ch_memory_read(H5FD_t *base, H5FD_mem_t type, hid_t transfer, haddr_t address, size_t count, void *buffer) {
  (void)type, (void)transfer;
  ch_memory *memory = ((ch_memory_file *)base)->memory;
  unsigned char *to = buffer;
  while (count > 0) {
    size_t start = (size_t)(address % CH_PAGE_SIZE), n = CH_PAGE_SIZE - start < count ? CH_PAGE_SIZE - start : count;
    const ch_page *page = memory->capacity ? ch_memory_slot(memory, address / CH_PAGE_SIZE) : NULL;
    if (page && page->bytes) memcpy(to, page->bytes + start, n);
    else if (memory->descriptor < 0 || pread(memory->descriptor, to, n, (off_t)address) != (ssize_t)n) memset(to, 0, n);
    address += n, to += n, count -= n;
  }
  return 0;
}

// Whole pages of elements, which no structure can share, to the file. The library never hears of a failure, since it crashes on one.
static inline void ch_memory_stream(ch_memory *memory, haddr_t address, size_t count, const unsigned char *bytes) {
  while (count > 0 && !memory->error) {
    ssize_t n = pwrite(memory->descriptor, bytes, count, (off_t)address);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      memory->error = n < 0 ? errno : EIO;
      return;
    }
    address += (haddr_t)n, bytes += n, count -= (size_t)n;
  }
}

static inline herr_t ch_memory_write(H5FD_t *base, H5FD_mem_t type, hid_t transfer, haddr_t address, size_t count, const void *buffer) {
  (void)transfer;
  ch_memory_file *file = (ch_memory_file *)base;
  const unsigned char *from = buffer;
  while (count > 0) {
    size_t start = (size_t)(address % CH_PAGE_SIZE), n = CH_PAGE_SIZE - start < count ? CH_PAGE_SIZE - start : count;
    if (type == H5FD_MEM_DRAW && file->memory->descriptor >= 0 && start == 0 && count >= CH_PAGE_SIZE) {
      // As many as follow each other and are not kept.
      size_t run = 0;
      while (count - run >= CH_PAGE_SIZE &&
             !(file->memory->capacity && ch_memory_slot(file->memory, (address + run) / CH_PAGE_SIZE)->bytes))
        run += CH_PAGE_SIZE;
      if (run > 0) {
        ch_memory_stream(file->memory, address, run, from);
        address += run, from += run, count -= run;
        if (file->end_of_file < address) file->end_of_file = address;
        continue;
      }
    }
    unsigned char *page = ch_memory_page(file->memory, address / CH_PAGE_SIZE);
    if (!page) return -1;
    memcpy(page + start, from, n);
    address += n, from += n, count -= n;
    if (file->end_of_file < address) file->end_of_file = address;
  }
  return 0;
}

// The driver's number in the library; registered once.
static inline hid_t ch_memory_driver(void) {
  static const H5FD_class_t driver = {
#if H5_VERSION_GE(1, 13, 0)
      .version = H5FD_CLASS_VERSION,
      .value = (H5FD_class_value_t)600,
#endif
      .name = "memory",
      .maxaddr = (haddr_t)INT64_MAX,
      .fc_degree = H5F_CLOSE_WEAK,
      .fapl_size = sizeof(ch_memory *),
      .open = ch_memory_open,
      .close = ch_memory_close,
      .query = ch_memory_query,
      .get_eoa = ch_memory_get_eoa,
      .set_eoa = ch_memory_set_eoa,
      .get_eof = ch_memory_get_eof,
      .read = ch_memory_read,
      .write = ch_memory_write,
      .fl_map = H5FD_FLMAP_DICHOTOMY,
  };
  return H5FDregister(&driver);
}
