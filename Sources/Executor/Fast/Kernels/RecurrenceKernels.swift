import CKernels
import COneDNN
import Glibc
import ModelIR

/// Recurrent layers: one matmul for the inputs of as many time steps as the cache holds, then a loop over these steps in which each thread has
/// its share of blocks of 16 units and rows from the recurrent product to the new state, and their weights in its own cache.
enum RecurrenceKernels: KernelFamily {
    /// Sizes of one layer; units are padded to blocks of 16.
    private struct Sizes {
        let (batch, time, features, units, gates): (Int, Int, Int, Int, Int)
        var blocks: Int { (units + 15) / 16 }
        /// Columns of the kernels: whole blocks of 16 units, gate by gate, then the gates of the units that are left (CK_VECTORS).
        var width: Int { Self.width(units, gates) }
        /// Units, padded.
        var pitch: Int { blocks * 16 }

        /// Steps whose inputs are multiplied together.
        let chunk: Int
        /// Whether the input of the layer is a chunk's, and can be multiplied in its place.
        let isInPlace: Bool

        init(_ recurrence: Recurrence, x: [Int], recurrent: [Int]) {
            (batch, time, features) = (x[0], x[1], x[2])
            (units, gates) = (recurrent[0], recurrence.cell.gateCount)
            let width = Self.width(units, gates)
            // 2 MiB of products, but rows enough for a matmul at full speed.
            let most = max((1 << 19) / max(batch * width, 1), 64 / max(batch, 1), 1)
            let count = max(1, (time + most - 1) / most)
            chunk = (time + count - 1) / count
            isInPlace = count == 1 && PanelProduct.leftStep(features, rows: batch * chunk, .f32) == features
        }

        static func width(_ units: Int, _ gates: Int) -> Int { (units / 16 * gates + (units % 16 * gates + 15) / 16) * 16 }

        /// Whether threads have rows of their own, so that none waits for another at a step's end, rather than shares of the units. Each then reads
        /// all recurrent weights: from its own cache, if they fit, or often enough for its rows that it doesn't matter, where a share of the units
        /// wouldn't fit either.
        func splitsRows(_ threads: Int) -> Bool {
            let (rows, bytes) = (batch / threads, units * width * MemoryLayout<Float>.size)
            return bytes <= 768 << 10
                ? rows >= 1 : bytes <= 1_536 << 10 ? rows >= 4 : bytes <= 4_608 << 10 && rows >= 16 && bytes / threads > Self.secondCache
        }

        /// Bytes of a processor's second cache; 0 where that isn't known.
        private static let secondCache = max(0, sysconf(Int32(_SC_LEVEL2_CACHE_SIZE)))

        /// Floats from one row of a chunk's inputs to the next.
        var inputStep: Int { isInPlace ? features : PanelProduct.leftStep(features, rows: batch * chunk, .f32) }

        /// Floats of work space: a chunk's products, two hidden states, cell state or update gate, reset state; a chunk's inputs.
        var scratchCount: Int { batch * chunk * width + 4 * batch * pitch + (isInPlace ? 0 : batch * chunk * inputStep) }
    }

    static func scratchSize(_ node: ConcreteNode, _ types: [ConcreteType]) -> Int {
        guard case .composite(.recurrence(let recurrence)) = node.op else { return 0 }
        return Sizes(recurrence, x: types[node.inputs[0]].shape, recurrent: types[node.inputs[2]].shape).scratchCount * 4
    }

    static func kernel(_ request: KernelRequest) throws -> Kernel? {
        guard case .composite(.recurrence(let recurrence)) = request.node.op else { return nil }
        let (x, sequence) = (request.inputs[0], request.outputs[0])
        let sizes = Sizes(recurrence, x: x.shape, recurrent: request.inputs[2].shape)
        let weights = [1, 2].map { request.inputs[$0] } + (recurrence.biasIndex.map { [request.inputs[$0]] } ?? [])
        guard let activation = ck_activation(recurrence.activation), let gate = ck_activation(recurrence.recurrentActivation),
            weights.allSatisfy(\.isConstant), sizes.features > 0, sizes.units > 0, sizes.batch > 0
        else { return nil }

        let bias = recurrence.biasIndex.map { request.inputs[$0].floats }
        let resetsAfter = recurrence.cell == .gru(resetAfter: true)
        let kernel = packColumns(request.inputs[1].floats, rows: sizes.features, sizes)
        let inputBias = bias.map { packColumns($0, rows: 1, sizes) }
        let recurrentBias = resetsAfter ? bias.map { packColumns($0 + sizes.gates * sizes.units, rows: 1, sizes) } : nil
        let recurrent = packRecurrent(request.inputs[2].floats, recurrence.cell, sizes)

        let inputs = request.scratch.pointer.assumingMemoryBound(to: Float.self)
        let states = inputs + sizes.batch * sizes.chunk * sizes.width
        let stateCount = sizes.batch * sizes.pitch
        let rows = sizes.isInPlace ? x.floats : states + 4 * stateCount
        let mask = recurrence.maskIndex.map { request.inputs[$0] }
        let initial = recurrence.firstStateIndex.map { Array(request.inputs[$0...]) } ?? []
        let multiply = try sizes.time == 0 ? nil : inputProduct(request, sizes, rows: rows, kernel, inputBias, result: inputs)
        var task = ck_recurrence()
        task.cell = code(recurrence.cell)
        (task.activation, task.recurrent_activation) = (activation, gate)
        (task.batch, task.time, task.units, task.blocks) = (sizes.batch, sizes.time, sizes.units, sizes.blocks)
        task.weights = UnsafePointer(recurrent.floats)
        task.recurrent_bias = recurrentBias.map { UnsafePointer($0.floats) }
        task.inputs = UnsafePointer(inputs)
        task.input_steps = sizes.chunk
        task.mask = mask.map { UnsafePointer($0.flags) }
        task.goes_backwards = recurrence.goesBackwards ? 1 : 0
        task.zeroes_masked_output = recurrence.zeroesMaskedOutput ? 1 : 0
        task.hidden = (states, states + stateCount)
        task.memory = states + 2 * stateCount
        task.scratch = states + 3 * stateCount
        task.output = sequence.floats
        // A step's work must outweigh a meeting of the threads; where they don't meet, all of it their start.
        let work = sizes.batch * sizes.units * sizes.units * sizes.gates
        task.splits_rows = sizes.splitsRows(request.team.count) ? 1 : 0
        let isShared = task.splits_rows != 0 ? work * sizes.chunk >= 1 << 17 : work >= 1 << 16
        let team = ThreadTeam(count: isShared ? min(request.team.count, sizes.blocks * sizes.batch) : 1)
        let arrived = Allocation(byteCount: 64 * team.count)
        task.arrived = arrived.pointer.assumingMemoryBound(to: UInt32.self)

        let run = ck_math_table().pointee.recurrence
        let held = (recurrent, recurrentBias, inputBias, x, mask, initial, request.outputs, request.scratch, arrived)
        let copyTeam = request.team
        return { [task, held] in
            states.update(repeating: 0, count: 4 * stateCount)
            for (source, target) in zip(held.5, [states, states + 2 * stateCount]) {
                copyRows(source.floats, sizes.units, to: target, sizes.pitch, sizes)
            }
            var task = task
            for first in stride(from: 0, to: sizes.time, by: max(sizes.chunk, 1)) {
                (task.first, task.last) = (first, min(first + sizes.chunk, sizes.time))
                task.input_first = recurrence.goesBackwards ? sizes.time - task.last : first
                let times = task.input_first..<task.input_first + task.last - first
                if !sizes.isInPlace { gather(held.3.floats, times: times, to: rows, sizes, copyTeam) }
                // The last chunk's rows past its steps are left from before, and their products aren't used.
                try multiply?()
                held.8.pointer.initializeMemory(as: UInt32.self, repeating: 0, count: 16 * team.count)
                withUnsafePointer(to: &task) { task in
                    team.run { thread, threads in run?(task, thread, threads) }
                }
            }
            let last = sizes.time % 2 == 0 ? states : states + stateCount
            copyRows(last, sizes.pitch, to: held.6[1].floats, sizes.units, sizes)
            if recurrence.cell == .lstm { copyRows(states + 2 * stateCount, sizes.pitch, to: held.6[2].floats, sizes.units, sizes) }
        }
    }

    /// The product of a chunk's inputs.
    private static func inputProduct(
        _ request: KernelRequest, _ sizes: Sizes, rows: UnsafeMutablePointer<Float>, _ kernel: BufferView, _ bias: BufferView?,
        result: UnsafeMutablePointer<Float>
    ) throws -> Kernel {
        var shape = MatmulShape(m: sizes.batch * sizes.chunk, k: sizes.features, n: sizes.width)
        if let product = request.engine.panelProduct(
            shape, a: rows, leftStep: sizes.inputStep, copy: nil, b: kernel.floats, bias: bias?.floats, result: result, team: request.team)
        {
            return { product() }
        }
        shape.aStrides[1] = sizes.inputStep
        let multiply = try request.engine.matmul(shape, a: rows, b: kernel.floats, bias: bias?.floats, result: result, packsWeights: true)
        return { try multiply() }
    }

    private static func code(_ cell: Recurrence.Cell) -> Int32 {
        switch cell {
        case .simple: Int32(CK_SIMPLE)
        case .lstm: Int32(CK_LSTM)
        case .gru(let resetAfter): Int32(resetAfter ? CK_GRU_RESET_AFTER : CK_GRU_RESET_BEFORE)
        }
    }

    /// Some positions in time of [batch, time, features] as [batch][chunk][features].
    private static func gather(
        _ x: UnsafeMutablePointer<Float>, times: Range<Int>, to target: UnsafeMutablePointer<Float>, _ sizes: Sizes, _ team: ThreadTeam
    ) {
        team.split(sizes.batch * times.count, cost: sizes.features / 4) { rows in
            for row in rows {
                let (b, t) = (row / times.count, row % times.count)
                (target + (b * sizes.chunk + t) * sizes.inputStep)
                    .update(from: x + (b * sizes.time + times.lowerBound + t) * sizes.features, count: sizes.features)
            }
        }
    }

    /// States between padded and dense rows.
    private static func copyRows(
        _ source: UnsafeMutablePointer<Float>, _ sourcePitch: Int, to target: UnsafeMutablePointer<Float>, _ targetPitch: Int,
        _ sizes: Sizes
    ) {
        for b in 0..<sizes.batch { (target + b * targetPitch).update(from: source + b * sourcePitch, count: sizes.units) }
    }

    /// [rows, gate, unit] as [rows][columns].
    private static func packColumns(_ source: UnsafeMutablePointer<Float>, rows: Int, _ sizes: Sizes) -> BufferView {
        let packed = BufferView(allocating: ConcreteType(dtype: .f32, shape: [rows, sizes.width]), isConstant: true)
        packed.floats.update(repeating: 0, count: packed.count)
        let (whole, rest) = (sizes.units / 16 * 16, sizes.units % 16)
        for row in 0..<rows {
            let target = packed.floats + row * sizes.width
            for gate in 0..<sizes.gates {
                let from = source + (row * sizes.gates + gate) * sizes.units
                for first in stride(from: 0, to: whole, by: 16) {
                    (target + first * sizes.gates + gate * 16).update(from: from + first, count: 16)
                }
                (target + whole * sizes.gates + gate * rest).update(from: from + whole, count: rest)
            }
        }
        return packed
    }

    /// [units, gate, unit] as [block][state's unit][columns of the block]; for a GRU with reset before, the first two gates of all blocks, then
    /// the candidate.
    private static func packRecurrent(_ source: UnsafeMutablePointer<Float>, _ cell: Recurrence.Cell, _ sizes: Sizes) -> BufferView {
        let parts = cell == .gru(resetAfter: false) ? [0..<2, 2..<3] : [0..<sizes.gates]
        let width = parts.reduce(0) { $0 + Sizes.width(sizes.units, $1.count) }
        let packed = BufferView(allocating: ConcreteType(dtype: .f32, shape: [sizes.units, width]), isConstant: true)
        packed.floats.update(repeating: 0, count: packed.count)
        var target = packed.floats
        for part in parts {
            for block in 0..<sizes.blocks {
                let count = min(16, sizes.units - block * 16)
                let step = count == 16 ? 16 * part.count : Sizes.width(count, part.count)
                for row in 0..<sizes.units {
                    for (place, gate) in part.enumerated() {
                        let from = source + (row * sizes.gates + gate) * sizes.units + block * 16
                        (target + place * count).update(from: from, count: count)
                    }
                    target += step
                }
            }
        }
        return packed
    }
}
