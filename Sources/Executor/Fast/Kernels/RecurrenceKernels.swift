import CKernels
import COneDNN
import ModelIR

/// Recurrent layers: one matmul for the inputs of as many time steps as the cache holds, then a loop over these steps in which each thread has
/// its share of blocks of 16 units and rows from the recurrent product to the new state, and their weights in its own cache.
enum RecurrenceKernels: KernelFamily {
    /// Sizes of one layer; units are padded to blocks of 16.
    private struct Sizes {
        let (batch, time, features, units, gates): (Int, Int, Int, Int, Int)
        var blocks: Int { (units + 15) / 16 }
        /// Columns of the padded kernels.
        var width: Int { blocks * gates * 16 }
        /// Units, padded.
        var pitch: Int { blocks * 16 }

        /// Steps whose inputs are multiplied together.
        let chunk: Int
        /// Whether a chunk's inputs lie together, in the order of walking.
        let isInOrder: Bool

        init(_ recurrence: Recurrence, x: [Int], recurrent: [Int]) {
            (batch, time, features) = (x[0], x[1], x[2])
            (units, gates) = (recurrent[0], recurrence.cell.gateCount)
            let width = (units + 15) / 16 * gates * 16
            // 2 MiB of products, but rows enough for a matmul at full speed.
            let most = max((1 << 19) / max(batch * width, 1), 64 / max(batch, 1), 1)
            let count = max(1, (time + most - 1) / most)
            chunk = (time + count - 1) / count
            isInOrder = batch == 1 && count == 1 && !recurrence.goesBackwards
        }

        /// Floats of work space: a chunk's products, two hidden states, cell state or update gate, reset state; a chunk's inputs.
        var scratchCount: Int { batch * chunk * width + 4 * batch * pitch + (isInOrder ? 0 : batch * chunk * features) }
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
        let rows = sizes.isInOrder ? x.floats : states + 4 * stateCount
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
        task.mask = mask.map { UnsafePointer($0.flags) }
        task.goes_backwards = recurrence.goesBackwards ? 1 : 0
        task.zeroes_masked_output = recurrence.zeroesMaskedOutput ? 1 : 0
        task.hidden = (states, states + stateCount)
        task.memory = states + 2 * stateCount
        task.scratch = states + 3 * stateCount
        task.output = sequence.floats
        // A step's work must outweigh a barrier.
        let work = sizes.batch * sizes.units * sizes.units * sizes.gates
        let team = ThreadTeam(count: work >= 1 << 16 ? min(request.team.count, sizes.blocks * sizes.batch) : 1)

        let run = ck_math_table().pointee.recurrence
        let held = (recurrent, recurrentBias, inputBias, x, mask, initial, request.outputs, request.scratch)
        let copyTeam = request.team
        return { [task, held] in
            states.update(repeating: 0, count: 4 * stateCount)
            for (source, target) in zip(held.5, [states, states + 2 * stateCount]) {
                copyRows(source.floats, sizes.units, to: target, sizes.pitch, sizes)
            }
            let barrier = on_barrier() ?? {}
            var task = task
            for first in stride(from: 0, to: sizes.time, by: max(sizes.chunk, 1)) {
                (task.first, task.last) = (first, min(first + sizes.chunk, sizes.time))
                if !sizes.isInOrder {
                    gather(held.3.floats, steps: first..<task.last, backwards: recurrence.goesBackwards, to: rows, sizes, copyTeam)
                }
                // The last chunk's rows past its steps are left from before, and their products aren't used.
                try multiply?()
                withUnsafePointer(to: &task) { task in
                    team.run { thread, threads in run?(task, thread, threads, barrier) }
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
        let shape = MatmulShape(m: sizes.batch * sizes.chunk, k: sizes.features, n: sizes.width)
        if let product = request.engine.panelProduct(
            shape, a: rows, b: kernel.floats, bias: bias?.floats, result: result, team: request.team)
        {
            return { product() }
        }
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

    /// [batch, time, features] as [step][batch][features], in the order of walking.
    private static func gather(
        _ x: UnsafeMutablePointer<Float>, steps: Range<Int>, backwards: Bool, to target: UnsafeMutablePointer<Float>, _ sizes: Sizes,
        _ team: ThreadTeam
    ) {
        team.split(steps.count, cost: sizes.batch * sizes.features / 4) { pieces in
            for i in pieces {
                let step = steps.lowerBound + i
                let t = backwards ? sizes.time - 1 - step : step
                for b in 0..<sizes.batch {
                    (target + (i * sizes.batch + b) * sizes.features)
                        .update(from: x + (b * sizes.time + t) * sizes.features, count: sizes.features)
                }
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

    /// [rows, gate, unit] as [rows][block][gate][16], zeros past the last unit.
    private static func packColumns(_ source: UnsafeMutablePointer<Float>, rows: Int, _ sizes: Sizes) -> BufferView {
        let packed = BufferView(allocating: ConcreteType(dtype: .f32, shape: [rows, sizes.width]), isConstant: true)
        packed.floats.update(repeating: 0, count: packed.count)
        for row in 0..<rows {
            for gate in 0..<sizes.gates {
                let from = source + (row * sizes.gates + gate) * sizes.units
                for unit in 0..<sizes.units {
                    packed.floats[row * sizes.width + (unit / 16 * sizes.gates + gate) * 16 + unit % 16] = from[unit]
                }
            }
        }
        return packed
    }

    /// [units, gate, unit] as [block][state's unit][gate][16]; for a GRU with reset before, the first two gates of all blocks, then the candidate.
    private static func packRecurrent(_ source: UnsafeMutablePointer<Float>, _ cell: Recurrence.Cell, _ sizes: Sizes) -> BufferView {
        let packed = BufferView(allocating: ConcreteType(dtype: .f32, shape: [sizes.units, sizes.width]), isConstant: true)
        packed.floats.update(repeating: 0, count: packed.count)
        let parts = cell == .gru(resetAfter: false) ? [0..<2, 2..<3] : [0..<sizes.gates]
        var target = packed.floats
        for part in parts {
            for block in 0..<sizes.blocks {
                for row in 0..<sizes.units {
                    for gate in part {
                        let from = source + (row * sizes.gates + gate) * sizes.units + block * 16
                        target.update(from: from, count: min(16, sizes.units - block * 16))
                        target += 16
                    }
                }
            }
        }
        return packed
    }
}
