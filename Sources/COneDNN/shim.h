#pragma once
// oneDNN 2.6 and 3.x behind one face: all of the difference is in this file. A descriptor is one opaque pointer in both, so Swift sees the same types.
#include <dlfcn.h>
#include <dnnl.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct on_md_s *on_md; // never defined: OpaquePointer in Swift

#if DNNL_VERSION_MAJOR >= 3
static inline dnnl_status_t on_md_strides(on_md *o, int n, const int64_t *dims, dnnl_data_type_t type, const int64_t *strides) {
    return dnnl_memory_desc_create_with_strides((dnnl_memory_desc_t *)o, n, dims, type, strides);
}
// A layout that the primitive chooses.
static inline dnnl_status_t on_md_any(on_md *o, int n, const int64_t *dims, dnnl_data_type_t type) {
    return dnnl_memory_desc_create_with_tag((dnnl_memory_desc_t *)o, n, dims, type, dnnl_format_tag_any);
}
static inline void on_md_free(on_md o) { dnnl_memory_desc_destroy((dnnl_memory_desc_t)o); }
// bias may be NULL.
static inline dnnl_status_t on_matmul_pd(
    dnnl_primitive_desc_t *pd, dnnl_engine_t engine, on_md source, on_md weights, on_md bias, on_md target, dnnl_primitive_attr_t attributes
) {
    return dnnl_matmul_primitive_desc_create(
        pd, engine, (const_dnnl_memory_desc_t)source, (const_dnnl_memory_desc_t)weights, (const_dnnl_memory_desc_t)bias,
        (const_dnnl_memory_desc_t)target, attributes);
}
static inline dnnl_status_t on_post_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t kind, float alpha, float beta) {
    return dnnl_post_ops_append_eltwise(ops, kind, alpha, beta);
}
static inline dnnl_status_t on_post_add(dnnl_post_ops_t ops, on_md addend) {
    return dnnl_post_ops_append_binary(ops, dnnl_binary_add, (const_dnnl_memory_desc_t)addend);
}
#else
static inline dnnl_status_t on_md_strides(on_md *o, int n, const int64_t *dims, dnnl_data_type_t type, const int64_t *strides) {
    dnnl_memory_desc_t *m = malloc(sizeof *m);
    *o = (on_md)m;
    return m ? dnnl_memory_desc_init_by_strides(m, n, dims, type, strides) : dnnl_out_of_memory;
}
static inline dnnl_status_t on_md_any(on_md *o, int n, const int64_t *dims, dnnl_data_type_t type) {
    dnnl_memory_desc_t *m = malloc(sizeof *m);
    *o = (on_md)m;
    return m ? dnnl_memory_desc_init_by_tag(m, n, dims, type, dnnl_format_tag_any) : dnnl_out_of_memory;
}
static inline void on_md_free(on_md o) { free(o); }
static inline dnnl_status_t on_matmul_pd(
    dnnl_primitive_desc_t *pd, dnnl_engine_t engine, on_md source, on_md weights, on_md bias, on_md target, dnnl_primitive_attr_t attributes
) {
    dnnl_matmul_desc_t o;
    dnnl_status_t status = dnnl_matmul_desc_init(
        &o, (const dnnl_memory_desc_t *)source, (const dnnl_memory_desc_t *)weights, (const dnnl_memory_desc_t *)bias,
        (const dnnl_memory_desc_t *)target);
    return status ? status : dnnl_primitive_desc_create(pd, &o, attributes, engine, NULL);
}
static inline dnnl_status_t on_post_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t kind, float alpha, float beta) {
    return dnnl_post_ops_append_eltwise(ops, 1, kind, alpha, beta);
}
static inline dnnl_status_t on_post_add(dnnl_post_ops_t ops, on_md addend) {
    return dnnl_post_ops_append_binary(ops, dnnl_binary_add, (const dnnl_memory_desc_t *)addend);
}
#endif

static inline dnnl_status_t on_memory(dnnl_memory_t *o, on_md d, dnnl_engine_t engine, void *handle) {
    return dnnl_memory_create(o, (const void *)d, engine, handle);
}
static inline dnnl_status_t on_reorder_pd(dnnl_primitive_desc_t *pd, on_md from, on_md to, dnnl_engine_t engine) {
    return dnnl_reorder_primitive_desc_create(pd, (const void *)from, engine, (const void *)to, engine, NULL);
}
// The weights' layout that a primitive has chosen; owned by it.
static inline on_md on_weights_md(dnnl_primitive_desc_t pd) { return (on_md)dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0); }
static inline size_t on_md_size(on_md d) { return dnnl_memory_desc_get_size((const void *)d); }
static inline int on_md_equal(on_md a, on_md b) { return dnnl_memory_desc_equal((const void *)a, (const void *)b); }

// The argument that holds what the first post-op adds.
static inline int on_addend_argument(void) { return DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1; }

// The OpenMP runtime that oneDNN brought, found at run time: our own kernels work on its team of threads, no second pool.

typedef void (*on_body)(void *context, unsigned thread, unsigned threads);
typedef struct {
    on_body body;
    void *context;
    int (*id)(void);
    int (*count)(void);
} on_call;

static void on_trampoline(void *p) {
    on_call *call = p;
    call->body(call->context, (unsigned)call->id(), (unsigned)call->count());
}

// Runs body on n threads; on one where there is no such runtime.
static inline void on_parallel(on_body body, void *context, unsigned n) {
    typedef void (*parallel)(void (*)(void *), void *, unsigned, unsigned);
    static int is_known;
    static parallel run;
    static int (*id)(void), (*count)(void);
    if (!__atomic_load_n(&is_known, __ATOMIC_ACQUIRE)) {
        parallel found = (parallel)dlsym(NULL, "GOMP_parallel");
        int (*found_id)(void) = (int (*)(void))dlsym(NULL, "omp_get_thread_num");
        int (*found_count)(void) = (int (*)(void))dlsym(NULL, "omp_get_num_threads");
        __atomic_store_n(&id, found_id, __ATOMIC_RELAXED);
        __atomic_store_n(&count, found_count, __ATOMIC_RELAXED);
        __atomic_store_n(&run, found_id && found_count ? found : NULL, __ATOMIC_RELAXED);
        __atomic_store_n(&is_known, 1, __ATOMIC_RELEASE);
    }
    parallel start = __atomic_load_n(&run, __ATOMIC_RELAXED);
    if (start && n > 1) {
        on_call call = {body, context, __atomic_load_n(&id, __ATOMIC_RELAXED), __atomic_load_n(&count, __ATOMIC_RELAXED)};
        start(on_trampoline, &call, n, 0);
    } else {
        body(context, 0, 1);
    }
}

// The number of threads of what the calling thread makes and runs from now on; it is baked into primitives when they are made.
static inline void on_set_threads(int n) {
    void (*set)(int) = (void (*)(int))dlsym(NULL, "omp_set_num_threads");
    if (set) set(n);
}
