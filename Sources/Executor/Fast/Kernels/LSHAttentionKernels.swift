import CKernels
import ModelIR

/// Attention among vectors that hash alike: positions are sorted by counting, chunks see their neighbours, so that time and memory grow
/// with the sequence. Heads of batch rows are spread over the threads.
enum LSHAttentionKernels: KernelFamily {
    /// The numbers that a node's kernel follows from, and the parts of a thread's work space, in elements of 4 bytes.
    private struct Sizes {
        let (batch, positions, heads, size, valueSize): (Int, Int, Int, Int, Int)
        let rounds: Int
        /// None for a sequence of one chunk.
        let factors: [Int]
        /// Columns of rotations of a round, and of all rounds up to a multiple of 16.
        let (width, columns): (Int, Int)
        /// nil where there are too many to count.
        let buckets: Int?

        init(_ attention: LSHAttention, _ vectors: [Int], _ value: [Int]) {
            (batch, positions, heads, size, valueSize) = (vectors[0], vectors[1], vectors[2], vectors[3], value[3])
            let isHashed = positions > attention.chunk
            rounds = isHashed ? attention.hashes : 1
            factors = isHashed ? attention.factors(positions: positions) : []
            width = factors.reduce(0, +) / 2
            columns = (width * rounds + 15) & ~15
            buckets = factors.reduce(1.0) { $0 * Double($1) } <= 0x1p22 ? factors.reduce(1, *) : nil
        }

        private static func padded(_ count: Int) -> Int { (count + 15) & ~15 }
        var order: Int { Self.padded(rounds * positions) }
        var counts: Int { Self.padded((buckets ?? 0) + 2) }
        var norm: Int { Self.padded(positions) }
        var state: Int { Self.padded(2 * positions) }
        var space: Int { Self.padded(ck_lsh_space(size, valueSize, columns)) }
        var perThread: Int { 2 * order + counts + norm + state + space }
        /// Threads that have a head, of as many as there are.
        func threads(of count: Int) -> Int { max(1, min(batch * heads, count)) }
        /// Whether positions fit 32 bits.
        var isCountable: Bool { buckets != nil && positions * rounds < 1 << 30 }
    }

    static func scratchSize(_ node: ConcreteNode, _ types: [ConcreteType], _ options: ExecutionOptions) -> Int {
        guard case .composite(.lshAttention(let attention)) = node.op else { return 0 }
        let sizes = Sizes(attention, types[node.inputs[0]].shape, types[node.inputs[1]].shape)
        return sizes.isCountable ? sizes.perThread * sizes.threads(of: options.threadCount) * 4 : 0
    }

    static func kernel(_ request: KernelRequest) throws -> Kernel? {
        guard case .composite(.lshAttention(let attention)) = request.node.op else { return nil }
        let (vectors, value, mask, output) = (request.inputs[0], request.inputs[1], request.inputs[2], request.outputs[0])
        let sizes = Sizes(attention, vectors.shape, value.shape)
        guard sizes.isCountable else { return nil }
        guard output.count > 0, sizes.size > 0 else { return output.count > 0 ? nil : {} }

        var task = ck_lsh()
        (task.positions, task.size, task.value_size) = (sizes.positions, sizes.size, sizes.valueSize)
        (task.vector_step, task.value_step) = (sizes.heads * sizes.size, sizes.heads * sizes.valueSize)
        (task.chunk, task.rounds) = (attention.chunk, sizes.rounds)
        if !sizes.factors.isEmpty { (task.before, task.after) = (attention.before, attention.after) }
        task.is_causal = attention.isCausal ? 1 : 0
        (task.self_score, task.masked_score) = (Float(LSHAttention.selfScore), Float(LSHAttention.maskedScore))
        task.epsilon = Float(LSHAttention.epsilon)
        (task.columns, task.width, task.buckets) = (sizes.columns, sizes.width, sizes.buckets ?? 0)
        task.factor_count = sizes.factors.count

        let rotations = packRotations(attention, sizes)
        let factors = sizes.factors.map { Int32($0) }
        let team = ThreadTeam(count: sizes.threads(of: request.team.count))
        let held = (vectors, value, mask, output, rotations, request.scratch)
        return { [task, held] in
            guard let attend = ck_math_table().pointee.lsh_attention else { return }
            let (vectors, value, mask, output, rotations, scratch) = held
            factors.withUnsafeBufferPointer { factors in
                team.run { thread, threads in
                    var task = task
                    task.factors = factors.baseAddress
                    var place = scratch.pointer + thread * sizes.perThread * 4
                    func take(_ count: Int) -> UnsafeMutableRawPointer {
                        defer { place += count * 4 }
                        return place
                    }
                    task.order = take(sizes.order).assumingMemoryBound(to: Int32.self)
                    task.bucket = take(sizes.order).assumingMemoryBound(to: Int32.self)
                    task.counts = take(sizes.counts).assumingMemoryBound(to: Int32.self)
                    task.norm = take(sizes.norm).assumingMemoryBound(to: Float.self)
                    task.state = take(sizes.state).assumingMemoryBound(to: Float.self)
                    task.space = take(sizes.space).assumingMemoryBound(to: Float.self)
                    for item in stride(from: thread, to: sizes.batch * sizes.heads, by: threads) {
                        let (row, head) = (item / sizes.heads, item % sizes.heads)
                        task.vectors = UnsafePointer(vectors.floats + row * sizes.positions * task.vector_step + head * sizes.size)
                        task.value = UnsafePointer(value.floats + row * sizes.positions * task.value_step + head * sizes.valueSize)
                        task.output = output.floats + row * sizes.positions * task.value_step + head * sizes.valueSize
                        task.mask = UnsafePointer(mask.flags + row * sizes.positions)
                        task.rotations = UnsafePointer(rotations.floats + head * sizes.size * sizes.columns)
                        withUnsafePointer(to: &task) { attend($0) }
                    }
                }
            }
        }
    }

    /// [heads, size, hashes, width] as [heads, size, columns], zeros past the last hash.
    private static func packRotations(_ attention: LSHAttention, _ sizes: Sizes) -> BufferView {
        let type = ConcreteType(dtype: .f32, shape: [sizes.heads * sizes.size, sizes.columns])
        let packed = BufferView(allocating: type, isConstant: true)
        guard !sizes.factors.isEmpty else { return packed }
        let source = attention.rotations(heads: sizes.heads, size: sizes.size, factors: sizes.factors)
        let used = sizes.width * sizes.rounds
        for row in 0..<sizes.heads * sizes.size {
            for column in 0..<sizes.columns {
                packed.floats[row * sizes.columns + column] = column < used ? source[row * used + column] : 0
            }
        }
        return packed
    }
}
