#pragma once
// Names and structures of the 1.10 interface, also where a newer library is installed.
#define H5_USE_110_API
#include <hdf5.h>
#include <stdio.h>
#include <string.h>
#include "memory_file.h"

// --- Library -------------------------------------------------------------------------------------------------------------------------

// Plugin loading is the process's, error printing the thread's.
static inline void ch_silence(void) {
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
  H5Eclear2(H5E_DEFAULT);
}

// A conversion that converts nothing: variable-length elements become the references to the heap that the file holds in their place.
static inline herr_t ch_keep_reference(hid_t from, hid_t to, H5T_cdata_t *data, size_t count, size_t stride, size_t background_stride,
                                       void *elements, void *background, hid_t transfer) {
  (void)from, (void)to, (void)count, (void)stride, (void)background_stride, (void)elements, (void)background, (void)transfer;
  if (data->command == H5T_CONV_INIT) data->need_bkg = H5T_BKG_NO;
  return 0;
}

// Lets variable-length strings be read into opaque elements of the reference's size. The library's own way to the strings follows the
// references through heaps whose sizes it does not check.
static inline herr_t ch_register_references(void) {
  hid_t from = H5Tcopy(H5T_C_S1), to = H5Tcreate(H5T_OPAQUE, 16);
  herr_t status = -1;
  if (from >= 0 && to >= 0 && H5Tset_size(from, H5T_VARIABLE) >= 0 && H5Tset_tag(to, "") >= 0)
    status = H5Tregister(H5T_PERS_SOFT, "reference", from, to, ch_keep_reference);
  if (from >= 0) H5Tclose(from);
  if (to >= 0) H5Tclose(to);
  return status;
}

typedef struct {
  char *text;
  size_t count;
} ch_text;

static inline herr_t ch_innermost(unsigned n, const H5E_error2_t *error, void *context) {
  ch_text *out = context;
  if (n == 0) {
    char minor[128] = "";
    H5Eget_msg(error->min_num, NULL, minor, sizeof minor);
    snprintf(out->text, out->count, "%s (%s)", error->desc ? error->desc : "", minor);
  }
  return 0;
}

// What the library says of the innermost cause of its last failure; empty if it says nothing. The text may hold newlines.
static inline void ch_last_error(char *text, size_t count) {
  ch_text out = {text, count};
  if (count) text[0] = 0;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, ch_innermost, &out);
  H5Eclear2(H5E_DEFAULT);
}

// Closes a property list and keeps what the library says of an earlier failure: every call clears that.
static inline void ch_close_list(hid_t list) {
  hid_t errors = H5Eget_current_stack();
  if (list >= 0) H5Pclose(list);
  H5Eset_current_stack(errors);
}

// --- A file image over memory that someone else owns: nothing is copied, nothing is opened ----------------------------------------------

typedef struct {
  const void *base;
  size_t size;
} ch_image;

static inline void *ch_image_malloc(size_t count, H5FD_file_image_op_t op, void *image) {
  (void)op;
  return count > ((ch_image *)image)->size ? NULL : (void *)((ch_image *)image)->base;
}
static inline void *ch_image_memcpy(void *to, const void *from, size_t count, H5FD_file_image_op_t op, void *image) {
  (void)op, (void)image;
  return to == from ? to : memcpy(to, from, count);
}
static inline void *ch_image_realloc(void *memory, size_t count, H5FD_file_image_op_t op, void *image) {
  (void)op;
  return count <= ((ch_image *)image)->size ? memory : NULL;
}
static inline herr_t ch_image_free(void *memory, H5FD_file_image_op_t op, void *image) {
  (void)memory, (void)op, (void)image;
  return 0;
}
static inline void *ch_image_copy_context(void *image) { return image; }
static inline herr_t ch_image_free_context(void *image) {
  (void)image;
  return 0;
}

// Opens the image read only; it must outlive the file.
static inline hid_t ch_open_image(ch_image *image) {
  hid_t access = H5Pcreate(H5P_FILE_ACCESS), file = -1;
  H5FD_file_image_callbacks_t callbacks = {ch_image_malloc,      ch_image_memcpy,      ch_image_realloc, ch_image_free,
                                           ch_image_copy_context, ch_image_free_context, image};
  if (access < 0) return -1;
  if (H5Pset_fapl_core(access, 1 << 16, 0) >= 0 && H5Pset_file_image_callbacks(access, &callbacks) >= 0 &&
      H5Pset_file_image(access, (void *)image->base, image->size) >= 0)
    file = H5Fopen("image", H5F_ACC_RDONLY, access);
  ch_close_list(access);
  return file;
}

// --- Writing: no times, the oldest structures, early allocation -------------------------------------------------------------------------

// Lets an object's attributes be of any size: out of its header into a heap of their own, which only the structures of 1.8 and later have.
static inline herr_t ch_allow_large_attributes(hid_t creation, int is_allowed) {
  return is_allowed ? H5Pset_attr_phase_change(creation, 0, 0) : 0;
}

// A new file in `memory`, which must outlive it. `driver` is what ch_memory_driver gave.
static inline hid_t ch_create_file(hid_t driver, ch_memory *memory, int has_large_attributes) {
  hid_t creation = H5Pcreate(H5P_FILE_CREATE), access = H5Pcreate(H5P_FILE_ACCESS), file = -1;
  if (creation >= 0 && access >= 0 && H5Pset_obj_track_times(creation, 0) >= 0 &&
      ch_allow_large_attributes(creation, has_large_attributes) >= 0 &&
      H5Pset_libver_bounds(access, has_large_attributes ? H5F_LIBVER_V18 : H5F_LIBVER_EARLIEST, H5F_LIBVER_V110) >= 0 && H5Pset_driver(access, driver, &memory) >= 0)
    file = H5Fcreate("memory", H5F_ACC_TRUNC, creation, access);
  ch_close_list(creation);
  ch_close_list(access);
  return file;
}

static inline hid_t ch_create_group(hid_t file, const char *path, int has_large_attributes) {
  hid_t creation = H5Pcreate(H5P_GROUP_CREATE), group = -1;
  if (creation < 0) return -1;
  if (H5Pset_obj_track_times(creation, 0) >= 0 && ch_allow_large_attributes(creation, has_large_attributes) >= 0)
    group = H5Gcreate2(file, path, H5P_DEFAULT, creation, H5P_DEFAULT);
  ch_close_list(creation);
  return group;
}

static inline hid_t ch_create_dataset(hid_t file, const char *path, hid_t type, hid_t space, int has_large_attributes) {
  hid_t creation = H5Pcreate(H5P_DATASET_CREATE), dataset = -1;
  if (creation < 0) return -1;
  if (H5Pset_obj_track_times(creation, 0) >= 0 && H5Pset_layout(creation, H5D_CONTIGUOUS) >= 0 &&
      ch_allow_large_attributes(creation, has_large_attributes) >= 0 &&
      H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY) >= 0 && H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER) >= 0)
    dataset = H5Dcreate2(file, path, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  ch_close_list(creation);
  return dataset;
}

// In chunks, shuffled and deflated; `chunk` has `rank` sizes.
static inline hid_t ch_create_chunked_dataset(hid_t file, const char *path, hid_t type, hid_t space, int rank, const hsize_t *chunk, unsigned level,
                                              int has_large_attributes) {
  hid_t creation = H5Pcreate(H5P_DATASET_CREATE), dataset = -1;
  if (creation < 0) return -1;
  if (H5Pset_obj_track_times(creation, 0) >= 0 && H5Pset_chunk(creation, rank, chunk) >= 0 &&
      ch_allow_large_attributes(creation, has_large_attributes) >= 0 && H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER) >= 0 &&
      H5Pset_shuffle(creation) >= 0 && H5Pset_deflate(creation, level) >= 0)
    dataset = H5Dcreate2(file, path, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  ch_close_list(creation);
  return dataset;
}

static inline hid_t ch_create_attribute(hid_t object, const char *name, hid_t type, hid_t space, int is_utf8) {
  hid_t creation = H5Pcreate(H5P_ATTRIBUTE_CREATE), attribute = -1;
  if (creation < 0) return -1;
  if (!is_utf8 || H5Pset_char_encoding(creation, H5T_CSET_UTF8) >= 0)
    attribute = H5Acreate2(object, name, type, space, creation, H5P_DEFAULT);
  ch_close_list(creation);
  return attribute;
}

// --- Types: the library's are macros over variables, and Swift sees functions only ------------------------------------------------------

static inline hid_t ch_integer_type(size_t size, int is_signed) {
  switch (size) {
  case 1: return H5Tcopy(is_signed ? H5T_STD_I8LE : H5T_STD_U8LE);
  case 2: return H5Tcopy(is_signed ? H5T_STD_I16LE : H5T_STD_U16LE);
  case 4: return H5Tcopy(is_signed ? H5T_STD_I32LE : H5T_STD_U32LE);
  case 8: return H5Tcopy(is_signed ? H5T_STD_I64LE : H5T_STD_U64LE);
  default: return -1;
  }
}

// A little-endian float: sign bit on top, then the exponent, then the fraction.
static inline hid_t ch_float_type(size_t size, size_t exponent_bits) {
  if (size == 4) return H5Tcopy(H5T_IEEE_F32LE);
  if (size == 8) return H5Tcopy(H5T_IEEE_F64LE);
  hid_t type = H5Tcopy(H5T_IEEE_F32LE);
  size_t bits = 8 * size, fraction = bits - 1 - exponent_bits;
  if (type >= 0 && (H5Tset_fields(type, bits - 1, fraction, exponent_bits, 0, fraction) < 0 || H5Tset_precision(type, bits) < 0 ||
                    H5Tset_size(type, size) < 0 || H5Tset_ebias(type, ((size_t)1 << (exponent_bits - 1)) - 1) < 0)) {
    H5Tclose(type);
    return -1;
  }
  return type;
}

// As h5py writes numpy's bool.
static inline hid_t ch_bool_type(void) {
  hid_t type = H5Tenum_create(H5T_STD_I8LE);
  signed char off = 0, on = 1;
  if (type >= 0 && (H5Tenum_insert(type, "FALSE", &off) < 0 || H5Tenum_insert(type, "TRUE", &on) < 0)) {
    H5Tclose(type);
    return -1;
  }
  return type;
}

static inline hid_t ch_opaque_type(size_t size) {
  hid_t type = H5Tcreate(H5T_OPAQUE, size);
  if (type >= 0) H5Tset_tag(type, "");
  return type;
}

// A string type; size 0 is variable length.
static inline hid_t ch_string_type(size_t size, H5T_str_t padding, H5T_cset_t charset) {
  hid_t type = H5Tcopy(H5T_C_S1);
  if (type >= 0 && (H5Tset_size(type, size ? size : H5T_VARIABLE) < 0 || H5Tset_strpad(type, padding) < 0 || H5Tset_cset(type, charset) < 0)) {
    H5Tclose(type);
    return -1;
  }
  return type;
}
