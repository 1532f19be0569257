import ModelIR

/// Ops that only move elements, by element size.
enum MovementKernels: KernelFamily {
    static func kernel(_ request: KernelRequest) throws -> Kernel? {
        if case .gather(let axis) = request.node.op { return gather(axis, request) }
        if case .concat(let axis) = request.node.op { return concat(axis, request) }
        guard let source = request.inputs.first, let result = request.outputs.first else { return nil }
        let own = contiguousStrides(source.shape)
        if case .transpose(let permutation) = request.node.op { return strided(request, offset: 0, strides: permutation.map { own[$0] }) }
        if case .broadcast = request.node.op {
            return strided(request, offset: 0, strides: broadcastStrides(source.shape, to: result.shape))
        }
        if case .reverse(let axes) = request.node.op {
            var (strides, offset) = (own, 0)
            for axis in Set(axes) {
                offset += (source.shape[axis] - 1) * own[axis]
                strides[axis] = -own[axis]
            }
            return strided(request, offset: offset, strides: strides)
        }
        if case .slice(let ranges) = request.node.op {
            let offset = zip(ranges.indices, ranges).reduce(0) { $0 + $1.1.bounds(source.shape[$1.0]).lowerBound * own[$1.0] }
            return strided(request, offset: offset, strides: zip(own, ranges).map { $0 * $1.step })
        }
        return nil
    }

    /// The input read through `strides`.
    private static func strided(_ request: KernelRequest, offset: Int, strides: [Int]) -> Kernel {
        let (x, y) = (request.inputs[0], request.outputs[0])
        let rows = RowSchedule(StridedWalk(y.shape, contiguousStrides(y.shape), strides))
        let team = request.team
        func run<T>(_ type: T.Type) -> Kernel {
            {
                let (target, source) = (y.pointer.assumingMemoryBound(to: type), x.pointer.assumingMemoryBound(to: type) + offset)
                let step = rows.walk.rowStrides[1]
                rows.run(team) { at, n in
                    let (to, from) = (target + at[0], source + at[1])
                    if step == 1 {
                        to.update(from: from, count: n)
                    } else if step == 0 {
                        to.update(repeating: from[0], count: n)
                    } else {
                        for i in 0..<n { to[i] = from[i &* step] }
                    }
                }
            }
        }
        switch y.kind {
        case .float: return run(Float.self)
        case .integer: return run(Int64.self)
        case .bool: return run(UInt8.self)
        }
    }

    private static func gather(_ axis: Int, _ request: KernelRequest) -> Kernel {
        let (x, indices, y, team, node) = (request.inputs[0], request.inputs[1], request.outputs[0], request.team, request.node)
        let (outer, size, inner) = split(x.shape, at: axis)
        let (count, bytes) = (indices.count, inner * x.kind.size)
        return {
            let rows = UnsafeBufferPointer(start: indices.integers, count: count)
            for row in rows where row < 0 || row >= Int64(size) { try checkIndices(rows, below: size, shape: indices.shape, node) }
            guard bytes > 0 else { return }
            team.split(outer * count, cost: bytes / 8) {
                for i in $0 {
                    (y.pointer + i * bytes).copyMemory(
                        from: x.pointer + (i / count * size + Int(rows[i % count])) * bytes, byteCount: bytes)
                }
            }
        }
    }

    private static func concat(_ axis: Int, _ request: KernelRequest) -> Kernel {
        let (inputs, y, team) = (request.inputs, request.outputs[0], request.team)
        let (outer, _, inner) = split(y.shape, at: axis)
        let widths = inputs.map { $0.shape[axis] * inner * y.kind.size }
        let total = widths.reduce(0, +)
        guard total > 0 else { return {} }
        return {
            team.split(outer, cost: total / 8) {
                for block in $0 {
                    var target = y.pointer + block * total
                    for (input, width) in zip(inputs, widths) {
                        target.copyMemory(from: input.pointer + block * width, byteCount: width)
                        target += width
                    }
                }
            }
        }
    }
}
