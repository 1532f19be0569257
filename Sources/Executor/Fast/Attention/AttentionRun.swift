import CKernels
import ModelIR

/// An attention node with everything at its place.
final class AttentionRun {
    private let attention: Attention
    private let sizes: AttentionKernels.Sizes
    private let groups: [(heads: Range<Int>, pattern: AttentionPattern, program: AttentionProgram)]
    private let team: ThreadTeam
    private let inputs: [BufferView]
    private let outputs: [BufferView]
    private let scratch: Allocation
    /// What all heads share of the kernel's arguments.
    private var shared: ck_attention
    private let biasStrides: [Int]

    /// In the work space: greatest scores and sums [batch, heads, queries, 2]; space of each thread; numbers of the rows with a mask.
    private let state: UnsafeMutablePointer<Float>
    private let spaces: UnsafeMutablePointer<Float>
    private let spaceSize: Int
    private let masked: UnsafeMutablePointer<Int32>
    private let maskedSize: Int
    /// Whether a batch row's mask hides a key, in the pass that is running.
    private var isMasked: [Bool]

    init(
        _ attention: Attention, _ sizes: AttentionKernels.Sizes,
        _ groups: [(heads: Range<Int>, pattern: AttentionPattern, program: AttentionProgram)], _ request: KernelRequest, tile: Int
    ) {
        (self.attention, self.sizes, self.groups, self.team) = (attention, sizes, groups, request.team)
        (inputs, outputs, scratch) = (request.inputs, request.outputs, request.scratch)
        let parts = sizes.scratch(threads: request.team.count)
        state = request.scratch.pointer.assumingMemoryBound(to: Float.self)
        spaces = state + ((parts.state + 15) & ~15)
        spaceSize = parts.space
        masked = UnsafeMutableRawPointer(spaces + parts.space * request.team.count).assumingMemoryBound(to: Int32.self)
        maskedSize = parts.masked
        isMasked = Array(repeating: false, count: sizes.batch)
        biasStrides =
            attention.biasIndex.map {
                broadcastStrides(request.inputs[$0].shape, to: [sizes.batch, sizes.heads, sizes.queries, sizes.keys])
            } ?? [0, 0, 0, 0]
        shared = ck_attention()
        shared.size = sizes.size
        shared.value_size = sizes.valueSize
        shared.scale = Float(attention.scale)
        (shared.query_step, shared.key_step, shared.value_step) = (
            sizes.views[0].rowStep, sizes.views[1].rowStep, sizes.views[2].rowStep
        )
        shared.output_step = sizes.heads * sizes.valueSize
        shared.bias_query_step = biasStrides[2]
        shared.bias_key_step = biasStrides[3]
        shared.weight_step = sizes.keys
        shared.tile = sizes.tile(tile)
    }

    func callAsFunction() {
        if let index = attention.keyMaskIndex { applyMask(inputs[index].flags) }
        if attention.returnsWeights { outputs[1].floats.update(repeating: 0, count: outputs[1].count) }
        var without = false
        var firstMasked = 0
        for group in groups {
            for phase in group.program.phases.indices {
                let found = run(group.program, phase, heads: group.heads, firstMasked: firstMasked)
                // What a query lacks in the first phase it may get in another.
                without = without || found
            }
            firstMasked += group.program.numbers.count
        }
        if without { fillUnattended() }
    }

    /// Batch row and head with their pointers.
    private func arguments(batch: Int, head: Int) -> ck_attention {
        var a = shared
        let keyHead = head / (sizes.heads / sizes.keyHeads)
        func place(_ i: Int, _ head: Int) -> UnsafePointer<Float> {
            let view = sizes.views[i]
            return UnsafePointer(inputs[i].floats + batch * view.shape[1] * view.rowStep + view.offset + head * view.shape[3])
        }
        (a.query, a.key, a.value) = (place(0, head), place(1, keyHead), place(2, keyHead))
        a.output = outputs[0].floats + (batch * sizes.queries * sizes.heads + head) * sizes.valueSize
        a.state = state + (batch * sizes.heads + head) * sizes.queries * 2
        if let index = attention.biasIndex {
            a.bias = UnsafePointer(inputs[index].floats + batch * biasStrides[0] + head * biasStrides[1])
        }
        if attention.returnsWeights { a.weights = outputs[1].floats + (batch * sizes.heads + head) * sizes.queries * sizes.keys }
        return a
    }

    /// Runs one phase for some heads: pieces of equal work for each thread. Gives whether a query got no key.
    private func run(_ program: AttentionProgram, _ phase: Int, heads: Range<Int>, firstMasked: Int) -> Bool {
        let (pieces, work) = (program.phases[phase].pieces, program.phases[phase].work)
        guard let each = work.last, each > 0 else { return false }
        let total = each * sizes.batch * heads.count
        let attend = ck_math_table().pointee.attention
        let spaceSize = spaceSize
        // A thread's own place each: 0 or 1.
        let without = spaces
        for thread in 0..<team.count { without[thread * spaceSize] = 0 }
        team.split(rows: sizes.batch * heads.count, work: work, isLight: total * (sizes.size + sizes.valueSize) < 32 * ThreadTeam.grain) {
            thread, row, range in
            let (batch, head) = (row / heads.count, heads.lowerBound + row % heads.count)
            var a = arguments(batch: batch, head: head)
            a.space = spaces + thread * spaceSize + 16
            a.continues = phase > 0 ? 1 : 0
            program.numbers.withUnsafeBufferPointer { plain in
                let numbers = isMasked[batch] ? UnsafePointer(masked + batch * maskedSize + firstMasked) : plain.baseAddress
                guard let numbers, let attend else { return }
                for piece in pieces[range] {
                    let place = program.places[piece.strand]
                    (a.queries, a.keys, a.ranges) = (numbers + place.queries, numbers + place.keys, numbers + place.ranges)
                    if attend(&a, piece.queries.lowerBound, piece.queries.upperBound) > 0 { without[thread * spaceSize] = 1 }
                }
            }
        }
        return (0..<team.count).contains { without[$0 * spaceSize] != 0 }
    }

    /// Leaves masked keys out of the lists of the rows that have any, so that they cost nothing.
    private func applyMask(_ mask: UnsafeMutablePointer<UInt8>) {
        let (batch, keys) = (sizes.batch, sizes.keys)
        for row in 0..<batch { isMasked[row] = UnsafeBufferPointer(start: mask + row * keys, count: keys).contains(0) }
        let places = masked + maskedSize * batch
        let longest = sizes.longestList + 1
        team.run { thread, threads in
            let newPlace = places + thread * longest
            for row in stride(from: thread, to: batch, by: threads) where isMasked[row] {
                var target = masked + row * maskedSize
                for group in groups {
                    group.program.numbers.withUnsafeBufferPointer { numbers in
                        guard let numbers = numbers.baseAddress else { return }
                        for place in group.program.places {
                            (target + place.queries).update(from: numbers + place.queries, count: place.queryCount)
                            var count: Int32 = 0
                            for u in 0..<place.keyCount {
                                let key = numbers[place.keys + u]
                                newPlace[u] = count
                                target[place.keys + Int(count)] = key
                                count += mask[row * keys + Int(key)] != 0 ? 1 : 0
                            }
                            newPlace[place.keyCount] = count
                            for t in 0..<2 * place.queryCount { target[place.ranges + t] = newPlace[Int(numbers[place.ranges + t])] }
                        }
                    }
                    target += group.program.numbers.count
                }
            }
        }
    }

    // MARK: - Queries without keys

    /// Fills in the queries that no key was left for, as `Attention.unattended` says.
    private func fillUnattended() {
        for group in groups {
            for batch in 0..<sizes.batch {
                for head in group.heads {
                    let a = arguments(batch: batch, head: head)
                    // Most spread over all keys, whose mean is the same for all.
                    var mean: [Float]?
                    for query in 0..<sizes.queries where a.state[2 * query + 1] == 0 {
                        fill(a, query, group.pattern, batch: batch, mean: &mean)
                    }
                }
            }
        }
    }

    private func fill(_ a: ck_attention, _ query: Int, _ pattern: AttentionPattern, batch: Int, mean: inout [Float]?) {
        let output = UnsafeMutableBufferPointer(start: a.output + query * a.output_step, count: sizes.valueSize)
        let mask = attention.keyMaskIndex.map { inputs[$0].flags + batch * sizes.keys }
        let weights = attention.returnsWeights ? a.weights + query * sizes.keys : nil
        let hasKeys = pattern.keyRanges(query: query, queries: sizes.queries, keys: sizes.keys).contains { range in
            range.keys.contains { mask?[$0] ?? 1 != 0 }
        }
        if hasKeys {
            // Keys there are, but every score is -infinity.
            output.update(repeating: .nan)
            if let weights { UnsafeMutableBufferPointer(start: weights, count: sizes.keys).update(repeating: .nan) }
            return
        }
        guard attention.unattended == .uniform else { return output.update(repeating: 0) }
        let domain = pattern.domain(query: query, queries: sizes.queries, keys: sizes.keys)
        let share = 1 / Float(domain.reduce(0) { $0 + $1.count })
        if let weights { for range in domain { for key in range.keys { weights[key] += share } } }
        let isWhole = domain == [KeyRange(start: 0, count: sizes.keys)]
        var values = isWhole ? mean ?? [] : []
        if values.isEmpty {
            values = [Float](repeating: 0, count: sizes.valueSize)
            for range in domain {
                for key in range.keys {
                    for v in values.indices { values[v] += a.value[key * a.value_step + v] }
                }
            }
            for v in values.indices { values[v] *= share }
            if isWhole { mean = values }
        }
        for (v, value) in values.enumerated() { output[v] = value }
    }
}
