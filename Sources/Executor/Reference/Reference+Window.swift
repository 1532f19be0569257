import ModelIR

/// Positions of a window over the spatial dimensions [n...] of [batch, n..., channels], in elements of one channel.
struct WindowWalk {
    /// Spatial sizes of the input and of the output.
    let input: [Int]
    let output: [Int]
    let sizes: [Int]
    let strides: [Int]
    let dilations: [Int]
    let padding: [Int]
    private let inputStrides: [Int]

    init(input: [Int], output: [Int], sizes: [Int], strides: [Int], dilations: [Int], padding: Padding) {
        self.input = input
        self.output = output
        self.sizes = sizes
        self.strides = strides
        self.dilations = dilations
        self.padding = input.indices.map {
            Window.padBefore(n: input[$0], k: sizes[$0], s: strides[$0], d: dilations[$0], padding: padding)
        }
        self.inputStrides = contiguousStrides(input)
    }

    /// Shapes with batch and channels.
    init(_ convolution: Convolution, input: [Int], kernel: [Int], output: [Int]) {
        self.init(
            input: Array(input.dropFirst().dropLast()), output: Array(output.dropFirst().dropLast()), sizes: Array(kernel.dropLast(2)),
            strides: convolution.strides, dilations: convolution.dilations, padding: convolution.padding)
    }

    /// Shapes with batch and channels.
    init(_ pool: Pool, input: [Int], output: [Int]) {
        self.init(
            input: Array(input.dropFirst().dropLast()), output: Array(output.dropFirst().dropLast()), sizes: pool.sizes,
            strides: pool.strides,
            dilations: [Int](repeating: 1, count: pool.sizes.count), padding: pool.padding)
    }

    /// Calls `body(output position, window position, input position)` for every pair that lies inside the input, outputs in order.
    @inline(__always)
    func forEach(_ body: (Int, Int, Int) -> Void) {
        let windowCount = sizes.reduce(1, *)
        var at = [Int](repeating: 0, count: output.count)
        for position in 0..<output.reduce(1, *) {
            var offset = [Int](repeating: 0, count: output.count)
            for w in 0..<windowCount {
                var source = 0
                var isInside = true
                for axis in 0..<output.count {
                    let x = at[axis] * strides[axis] + offset[axis] * dilations[axis] - padding[axis]
                    isInside = isInside && x >= 0 && x < input[axis]
                    source += x * inputStrides[axis]
                }
                if isInside { body(position, w, source) }
                Self.advance(&offset, sizes)
            }
            Self.advance(&at, output)
        }
    }

    private static func advance(_ counters: inout [Int], _ sizes: [Int]) {
        var axis = counters.count - 1
        while axis >= 0 {
            counters[axis] += 1
            if counters[axis] < sizes[axis] { return }
            counters[axis] = 0
            axis -= 1
        }
    }
}

extension Reference {
    static func convolution(_ convolution: Convolution, _ x: ReferenceArray, _ kernel: ReferenceArray, _ type: ConcreteType)
        -> ReferenceArray
    {
        let spatial = convolution.strides.count
        let walk = WindowWalk(convolution, input: x.shape, kernel: kernel.shape, output: type.shape)
        let (channels, groupChannels, outputs) = (x.shape[spatial + 1], kernel.shape[spatial], kernel.shape[spatial + 1])
        let groupOutputs = outputs / convolution.groups
        let (inputSize, outputSize) = (walk.input.reduce(1, *) * channels, walk.output.reduce(1, *) * outputs)
        var result = [Double](repeating: 0, count: type.count)
        let (values, weights) = (x.doubles, kernel.doubles)
        result.withUnsafeMutableBufferPointer { result in
            values.withUnsafeBufferPointer { values in
                weights.withUnsafeBufferPointer { weights in
                    guard let out = result.baseAddress, let source = values.baseAddress, let weights = weights.baseAddress else { return }
                    for b in 0..<x.shape[0] {
                        walk.forEach { position, w, from in
                            for group in 0..<convolution.groups {
                                let target = out + b * outputSize + position * outputs + group * groupOutputs
                                for c in 0..<groupChannels {
                                    let value = source[b * inputSize + from * channels + group * groupChannels + c]
                                    let row = weights + (w * groupChannels + c) * outputs + group * groupOutputs
                                    for o in 0..<groupOutputs { target[o] += value * row[o] }
                                }
                            }
                        }
                    }
                }
            }
        }
        return ReferenceArray(type, result)
    }

    static func pool(_ pool: Pool, _ x: ReferenceArray, _ type: ConcreteType) -> ReferenceArray {
        let spatial = pool.sizes.count
        let walk = WindowWalk(pool, input: x.shape, output: type.shape)
        let channels = x.shape[spatial + 1]
        let (inputSize, positions) = (walk.input.reduce(1, *) * channels, walk.output.reduce(1, *))
        let values = x.doubles
        var result = [Double](repeating: pool.kind == .maximum ? -.infinity : 0, count: type.count)
        var counts = [Int](repeating: 0, count: positions)
        for b in 0..<x.shape[0] {
            for i in counts.indices { counts[i] = 0 }
            walk.forEach { position, _, from in
                let (target, source) = ((b * positions + position) * channels, b * inputSize + from * channels)
                counts[position] += 1
                switch pool.kind {
                case .maximum:
                    for c in 0..<channels { result[target + c] = BinaryFunction.maximum.evaluate(result[target + c], values[source + c]) }
                case .average:
                    for c in 0..<channels { result[target + c] += values[source + c] }
                }
            }
            if pool.kind == .average {
                for (position, count) in counts.enumerated() {
                    for c in 0..<channels { result[(b * positions + position) * channels + c] /= Double(count) }
                }
            }
        }
        return ReferenceArray(type, result)
    }
}
