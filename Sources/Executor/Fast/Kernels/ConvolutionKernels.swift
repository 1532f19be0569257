import ModelIR

/// Convolution as a matmul over gathered windows, a block of output positions at a time; depthwise ones directly.
enum ConvolutionKernels: KernelFamily {
    /// Bytes of gathered windows at a time: enough rows for the matmul, and they stay in the cache.
    private static let blockBytes = 2 << 20

    private static func rowsPerBlock(windowSize: Int, rows: Int) -> Int { max(1, min(rows, blockBytes / (4 * max(1, windowSize)))) }

    static func scratchSize(_ node: ConcreteNode, _ types: [ConcreteType]) -> Int {
        guard case .convolution = node.op else { return 0 }
        let (kernel, y) = (types[node.inputs[1]], types[node.outputs[0]])
        let channels = types[node.inputs[0]].shape.last ?? 0
        let window = kernel.shape.dropLast(2).reduce(1, *) * channels
        let rows = y.count / max(1, y.shape[y.shape.count - 1])
        return rowsPerBlock(windowSize: window, rows: rows) * window * 4
    }

    static func kernel(_ request: KernelRequest) throws -> Kernel? {
        guard case .convolution(let convolution) = request.node.op else { return nil }
        let (x, weights, y) = (request.inputs[0], request.inputs[1], request.outputs[0])
        let spatial = convolution.strides.count
        let (channels, groupChannels, outputs) = (x.shape[spatial + 1], weights.shape[spatial], weights.shape[spatial + 1])
        guard y.count > 0, x.count < Int(Int32.max) else { return nil }
        let table = WindowTable(WindowWalk(convolution, input: x.shape, kernel: weights.shape, output: y.shape))
        if groupChannels == 1 && convolution.groups > 1 { return depthwise(request, table, outputs / convolution.groups) }

        let window = table.windowCount * channels
        let (rows, groupOutputs) = (x.shape[0] * table.outputCount, outputs / convolution.groups)
        let block = rowsPerBlock(windowSize: window, rows: rows)
        // Gathered as [row][group][window element][channel of the group], so that each group is a matrix.
        let gathered = request.scratch.pointer.assumingMemoryBound(to: Float.self)
        func multiplies(_ rows: Int) throws -> [Matmul] {
            guard rows > 0 else { return [] }
            return try (0..<convolution.groups).map { group in
                var shape = MatmulShape(m: rows, k: table.windowCount * groupChannels, n: groupOutputs)
                shape.aStrides = [rows * window, window, 1]
                shape.bStrides = [shape.k * outputs, outputs, 1]
                shape.cStrides = [rows * outputs, outputs, 1]
                return try request.engine.matmul(
                    shape, a: gathered + group * shape.k, b: weights.floats + group * groupOutputs, result: y.floats + group * groupOutputs,
                    packsWeights: false)
            }
        }
        let (full, rest) = (try multiplies(block), try multiplies(rows % block))
        return {
            for start in stride(from: 0, to: rows, by: block) {
                let count = min(block, rows - start)
                request.team.split(count, cost: window) {
                    for row in $0 { gather(table, x, row: start + row, into: gathered + row * window, convolution.groups, groupChannels) }
                }
                for (group, multiply) in (count == block ? full : rest).enumerated() {
                    try multiply(
                        a: gathered + group * table.windowCount * groupChannels, b: weights.floats + group * groupOutputs,
                        result: y.floats + start * outputs + group * groupOutputs)
                }
            }
        }
    }

    /// The inputs of one output position; zeros in the padding.
    private static func gather(
        _ table: WindowTable, _ x: BufferView, row: Int, into target: UnsafeMutablePointer<Float>, _ groups: Int, _ groupChannels: Int
    ) {
        let channels = groups * groupChannels
        let (image, position) = (row / table.outputCount, row % table.outputCount)
        let source = x.floats + image * table.inputCount * channels
        for group in 0..<groups {
            for element in 0..<table.windowCount {
                let to = target + (group * table.windowCount + element) * groupChannels
                let input = Int(table.positions[position * table.windowCount + element])
                if input < 0 {
                    to.update(repeating: 0, count: groupChannels)
                } else {
                    to.update(from: source + input * channels + group * groupChannels, count: groupChannels)
                }
            }
        }
    }

    /// One input channel per group, `multiplier` outputs each.
    private static func depthwise(_ request: KernelRequest, _ table: WindowTable, _ multiplier: Int) -> Kernel {
        let (x, weights, y, team) = (request.inputs[0], request.inputs[1], request.outputs[0], request.team)
        let outputs = y.shape[y.shape.count - 1]
        let channels = outputs / multiplier
        return {
            team.split(x.shape[0] * table.outputCount, cost: outputs * table.windowCount) {
                for row in $0 {
                    let (image, position) = (row / table.outputCount, row % table.outputCount)
                    let target = y.floats + row * outputs
                    target.update(repeating: 0, count: outputs)
                    for element in 0..<table.windowCount {
                        let input = Int(table.positions[position * table.windowCount + element])
                        guard input >= 0 else { continue }
                        let (source, factors) = (
                            x.floats + (image * table.inputCount + input) * channels, weights.floats + element * outputs
                        )
                        if multiplier == 1 {
                            for c in 0..<channels { target[c] += source[c] * factors[c] }
                        } else {
                            for o in 0..<outputs { target[o] += source[o / multiplier] * factors[o] }
                        }
                    }
                }
            }
        }
    }
}
