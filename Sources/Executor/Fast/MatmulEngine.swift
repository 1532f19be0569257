import ByteIO
import COneDNN

/// oneDNN's CPU engine, and the matmul primitives made so far: one per shape, for making one takes up to 2 milliseconds.
final class MatmulEngine {
    private var engine: dnnl_engine_t?
    private(set) var stream: dnnl_stream_t?
    private var primitives: [MatmulShape: MatmulPrimitive] = [:]
    /// Weights packed so far, by where they come from, so that tied uses share them.
    private var packedWeights: [PackedWeights] = []

    /// The same for our own kernel.
    var packedPanels: [PackedPanels] = []

    struct PackedPanels {
        let source: UnsafeMutableRawPointer
        let strides: [Int]
        let precision: Precision
        let memory: Allocation
    }

    /// Packed weights lie one after the other, so that small ones too are in large pages.
    private var slab = Allocation(byteCount: 0)
    private var slabUsed = 0
    private static let slabByteCount = 16 << 20

    private struct PackedWeights {
        let source: UnsafeMutableRawPointer
        let strides: [Int]
        /// Belongs to a primitive, which lives as long as the engine.
        let layout: on_md
        let memory: Allocation
    }

    /// - Throws: `UnsupportedError` if oneDNN has no CPU engine.
    init() throws {
        try check(dnnl_engine_create(&engine, dnnl_cpu, 0), "create a CPU engine")
        try check(dnnl_stream_create(&stream, engine, UInt32(dnnl_stream_default_flags.rawValue)), "create a stream")
    }

    deinit {
        primitives = [:]
        if let stream { dnnl_stream_destroy(stream) }
        if let engine { dnnl_engine_destroy(engine) }
    }

    /// The primitive for a shape; its number of threads is that of the calling thread's team when it is made.
    func primitive(_ shape: MatmulShape) throws -> MatmulPrimitive {
        if let known = primitives[shape] { return known }
        let made = try MatmulPrimitive(shape, engine: engine)
        primitives[shape] = made
        return made
    }

    /// A matmul with fixed operands.
    /// - Parameters:
    ///   - residual: [m, n], dense, is added to the result.
    ///   - packsWeights: copy b into the layout that the primitive likes best, once; b must be constant and its own memory isn't needed then.
    ///   - sharesWeights: b lies at its place until `forgetSources`, so another matmul with the same b may use the same copy.
    func matmul(
        _ shape: MatmulShape, a: UnsafeMutablePointer<Float>, b: UnsafeMutablePointer<Float>, bias: UnsafeMutablePointer<Float>? = nil,
        residual: UnsafeMutablePointer<Float>? = nil, result: UnsafeMutablePointer<Float>, packsWeights: Bool, sharesWeights: Bool = false
    ) throws -> Matmul {
        var shape = shape
        (shape.hasBias, shape.hasResidual) = (bias != nil, residual != nil)
        shape.isPacked = packsWeights
        let primitive = try primitive(shape)
        guard packsWeights else {
            return try Matmul(primitive, engine, stream, weights: primitive.weights, a, b, bias, residual, result, packed: nil)
        }
        return try packed(
            primitive, shape, UnsafeMutableRawPointer(a), b: b, bias: bias, residual: residual, result: result, sharesWeights: sharesWeights
        )
    }

    /// The same with a in bf16; b, f32 at its place, is rounded and packed.
    /// - Throws: `UnsupportedError` where the processor or oneDNN can't.
    func halfMatmul(
        _ shape: MatmulShape, a: UnsafeMutablePointer<UInt16>, b: UnsafeMutablePointer<Float>, bias: UnsafeMutablePointer<Float>?,
        residual: UnsafeMutablePointer<Float>?, result: UnsafeMutablePointer<Float>
    ) throws -> Matmul {
        var shape = shape
        (shape.hasBias, shape.hasResidual) = (bias != nil, residual != nil)
        (shape.isPacked, shape.isHalf) = (true, true)
        guard let primitive = try? primitive(shape) else { throw UnsupportedError("this processor has no bf16 matmuls") }
        return try packed(
            primitive, shape, UnsafeMutableRawPointer(a), b: b, bias: bias, residual: residual, result: result, sharesWeights: true)
    }

    private func packed(
        _ primitive: MatmulPrimitive, _ shape: MatmulShape, _ a: UnsafeMutableRawPointer, b: UnsafeMutablePointer<Float>,
        bias: UnsafeMutablePointer<Float>?, residual: UnsafeMutablePointer<Float>?, result: UnsafeMutablePointer<Float>, sharesWeights: Bool
    ) throws -> Matmul {
        guard let wanted = on_weights_md(primitive.descriptor) else { throw UnsupportedError("oneDNN names no layout for weights") }
        let source = UnsafeMutableRawPointer(b)
        let known = packedWeights.first { $0.source == source && $0.strides == shape.bStrides && on_md_equal($0.layout, wanted) != 0 }
        let memory = known?.memory ?? place(byteCount: on_md_size(wanted))
        if known == nil {
            try reorder(b, primitive.weights, to: memory.pointer, wanted)
            if sharesWeights {
                packedWeights.append(PackedWeights(source: source, strides: shape.bStrides, layout: wanted, memory: memory))
            }
        }
        return try Matmul(primitive, engine, stream, weights: wanted, a, memory.pointer, bias, residual, result, packed: memory)
    }

    func place(byteCount: Int) -> Allocation {
        let size = (byteCount + 63) / 64 * 64
        guard size <= Self.slabByteCount / 8 else { return Allocation(byteCount: byteCount) }
        if slabUsed + size > slab.byteCount { (slab, slabUsed) = (Allocation(byteCount: Self.slabByteCount), 0) }
        defer { slabUsed += size }
        return Allocation(slabUsed..<slabUsed + byteCount, of: slab)
    }

    /// Parameters may leave their places from now on.
    func forgetSources() { (packedWeights, packedPanels) = ([], []) }

    private func reorder(_ source: UnsafeMutablePointer<Float>, _ from: on_md, to target: UnsafeMutableRawPointer, _ layout: on_md) throws {
        var descriptor: dnnl_primitive_desc_t?
        try check(on_reorder_pd(&descriptor, from, layout, engine), "describe a reorder")
        defer { dnnl_primitive_desc_destroy(descriptor) }
        var primitive: dnnl_primitive_t?
        try check(dnnl_primitive_create(&primitive, descriptor), "create a reorder")
        defer { dnnl_primitive_destroy(primitive) }
        var (input, output): (dnnl_memory_t?, dnnl_memory_t?)
        try check(on_memory(&input, from, engine, source), "describe memory")
        defer { dnnl_memory_destroy(input) }
        try check(on_memory(&output, layout, engine, target), "describe memory")
        defer { dnnl_memory_destroy(output) }
        let arguments = [dnnl_exec_arg_t(arg: DNNL_ARG_SRC, memory: input), dnnl_exec_arg_t(arg: DNNL_ARG_DST, memory: output)]
        try check(dnnl_primitive_execute(primitive, stream, 2, arguments), "reorder weights")
        try check(dnnl_stream_wait(stream), "reorder weights")
    }
}

/// Sizes and strides of c [batch, m, n] = a [batch, m, k] x b [batch, k, n] + bias [n] + residual [m, n], in elements.
struct MatmulShape: Hashable {
    var batch = 1
    var (m, k, n): (Int, Int, Int)
    /// Per batch, row and column.
    var aStrides: [Int]
    var bStrides: [Int]
    var cStrides: [Int]
    var hasBias = false
    /// Where there is no batch.
    var hasResidual = false
    var isPacked = false
    /// a and b in bf16.
    var isHalf = false

    /// Dense, row-major operands.
    init(batch: Int = 1, m: Int, k: Int, n: Int) {
        self.batch = batch
        (self.m, self.k, self.n) = (m, k, n)
        aStrides = [m * k, k, 1]
        bStrides = [k * n, n, 1]
        cStrides = [m * n, n, 1]
    }

    static func == (a: MatmulShape, b: MatmulShape) -> Bool {
        a.batch == b.batch && a.m == b.m && a.k == b.k && a.n == b.n && a.aStrides == b.aStrides && a.bStrides == b.bStrides
            && a.cStrides == b.cStrides && a.hasBias == b.hasBias && a.hasResidual == b.hasResidual && a.isPacked == b.isPacked
            && a.isHalf == b.isHalf
    }

    func hash(into hasher: inout Hasher) {
        for value in [batch, m, k, n] { hasher.combine(value) }
    }
}

/// A oneDNN matmul primitive with its descriptors.
final class MatmulPrimitive {
    let primitive: dnnl_primitive_t?
    let descriptor: dnnl_primitive_desc_t?
    let (source, weights, target): (on_md, on_md, on_md)
    let bias: on_md?

    fileprivate init(_ shape: MatmulShape, engine: dnnl_engine_t?) throws {
        func layout(_ sizes: [Int], _ strides: [Int], _ type: dnnl_data_type_t = dnnl_f32) throws -> on_md {
            var descriptor: on_md?
            // Without a batch two dimensions do, for which oneDNN has more kernels.
            let skip = shape.batch == 1 ? 1 : 0
            let (dims, steps) = (sizes.dropFirst(skip).map { Int64($0) }, strides.dropFirst(skip).map { Int64($0) })
            try check(on_md_strides(&descriptor, Int32(dims.count), dims, type, steps), "describe a matrix")
            guard let descriptor else { throw UnsupportedError("oneDNN can't describe a matrix") }
            return descriptor
        }
        let operand = shape.isHalf ? dnnl_bf16 : dnnl_f32
        source = try layout([shape.batch, shape.m, shape.k], shape.aStrides, operand)
        weights = try layout([shape.batch, shape.k, shape.n], shape.bStrides)
        target = try layout([shape.batch, shape.m, shape.n], shape.cStrides)
        bias = shape.hasBias ? try layout([1, 1, shape.n], [shape.n, shape.n, 1]) : nil
        var chosen: on_md? = weights
        if shape.isPacked {
            let dims = [Int64(shape.k), Int64(shape.n)]
            try check(on_md_any(&chosen, 2, dims, operand), "describe weights")
        }
        defer { if shape.isPacked, let chosen { on_md_free(chosen) } }
        var attributes: dnnl_primitive_attr_t?
        defer { if let attributes { dnnl_primitive_attr_destroy(attributes) } }
        if shape.hasResidual {
            var additions: dnnl_post_ops_t?
            try check(dnnl_post_ops_create(&additions), "describe an addition")
            defer { dnnl_post_ops_destroy(additions) }
            try check(on_post_add(additions, target), "describe an addition")
            try check(dnnl_primitive_attr_create(&attributes), "describe an addition")
            try check(dnnl_primitive_attr_set_post_ops(attributes, additions), "describe an addition")
        }
        var descriptor: dnnl_primitive_desc_t?
        try check(on_matmul_pd(&descriptor, engine, source, chosen, bias, target, attributes), "describe a matmul")
        self.descriptor = descriptor
        var primitive: dnnl_primitive_t?
        try check(dnnl_primitive_create(&primitive, descriptor), "create a matmul")
        self.primitive = primitive
    }

    deinit {
        dnnl_primitive_destroy(primitive)
        dnnl_primitive_desc_destroy(descriptor)
        for layout in [source, weights, target] { on_md_free(layout) }
        if let bias { on_md_free(bias) }
    }
}

/// A matmul whose operands lie at fixed places.
final class Matmul {
    private let primitive: MatmulPrimitive
    private let stream: dnnl_stream_t?
    private let packed: Allocation?
    private var memories: [dnnl_memory_t?] = []
    private var arguments: [dnnl_exec_arg_t] = []

    fileprivate init(
        _ primitive: MatmulPrimitive, _ engine: dnnl_engine_t?, _ stream: dnnl_stream_t?, weights: on_md, _ a: UnsafeMutableRawPointer,
        _ b: UnsafeMutableRawPointer, _ bias: UnsafeMutablePointer<Float>?, _ residual: UnsafeMutablePointer<Float>?,
        _ result: UnsafeMutablePointer<Float>, packed: Allocation?
    ) throws {
        self.primitive = primitive
        self.stream = stream
        self.packed = packed
        try add(DNNL_ARG_SRC, primitive.source, engine, a)
        try add(DNNL_ARG_WEIGHTS, weights, engine, b)
        try add(DNNL_ARG_DST, primitive.target, engine, result)
        if let bias, let layout = primitive.bias { try add(DNNL_ARG_BIAS, layout, engine, bias) }
        if let residual { try add(on_addend_argument(), primitive.target, engine, residual) }
    }

    private func add(_ argument: Int32, _ layout: on_md, _ engine: dnnl_engine_t?, _ pointer: UnsafeMutableRawPointer) throws {
        var memory: dnnl_memory_t?
        try check(on_memory(&memory, layout, engine, pointer), "describe memory")
        memories.append(memory)
        arguments.append(dnnl_exec_arg_t(arg: argument, memory: memory))
    }

    deinit { for memory in memories { dnnl_memory_destroy(memory) } }

    func callAsFunction() throws {
        try check(dnnl_primitive_execute(primitive.primitive, stream, Int32(arguments.count), arguments), "multiply")
        try check(dnnl_stream_wait(stream), "multiply")
    }

    /// The same with its result at another place, from now on.
    func callAsFunction(result: UnsafeMutableRawPointer) throws {
        try check(dnnl_memory_set_data_handle(memories[2], result), "set memory")
        try self()
    }

    /// The same with other operands.
    func callAsFunction(a: UnsafeMutablePointer<Float>, b: UnsafeMutablePointer<Float>, result: UnsafeMutablePointer<Float>) throws {
        for (memory, pointer) in zip(memories, [a, b, result]) { try check(dnnl_memory_set_data_handle(memory, pointer), "set memory") }
        try self()
    }
}

/// - Throws: `UnsupportedError` unless oneDNN succeeded.
private func check(_ status: dnnl_status_t, _ action: String) throws {
    guard status == dnnl_success else { throw UnsupportedError("oneDNN can't \(action): status \(status.rawValue)") }
}
