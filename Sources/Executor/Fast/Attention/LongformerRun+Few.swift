import CKernels

extension LongformerRun {
    /// Attends by few global tokens without projecting all tokens for them. Of their scores, q (K x + k) = (K^T q) x + q k, the second part
    /// is the same for all keys, so softmax doesn't see it; and the mean of V x + v is V times the mean of x, plus v. So a head of a token
    /// is a query K^T q among the inputs themselves.
    func attendFew(_ batch: Int, _ row: Lists) throws {
        let (heads, size, width, count) = (sizes.heads, sizes.size, sizes.inputWidth, row.globalCount)
        let inner = heads * size
        var place = spaces + (sizes.state + sizes.space) * team.count
        let parts = sizes.fewParts.map { part in
            defer { place += LongformerKernels.Sizes.padded(part) }
            return place
        }
        let x = inputs[8].floats + batch * sizes.positions * width
        for token in 0..<count { (parts[0] + token * width).update(from: x + Int(row.globals[token]) * width, count: width) }

        var projection = MatmulShape(m: count, k: width, n: inner)
        projection.bStrides = [width * inner, 1, width]
        try engine.matmul(
            projection, a: parts[0], b: inputs[9].floats, bias: inputs[10].floats, result: parts[1], packsWeights: false)()
        // [heads, tokens, width] laid out as [tokens, heads, width].
        var query = MatmulShape(batch: heads, m: count, k: size, n: width)
        (query.aStrides, query.bStrides, query.cStrides) = ([size, inner, 1], [size * width, width, 1], [width, heads * width, 1])
        try engine.matmul(query, a: parts[1], b: inputs[11].floats, result: parts[2], packsWeights: false)()

        let rows = count * heads
        let queries = UnsafeMutableRawPointer(parts[6]).assumingMemoryBound(to: Int32.self)
        for i in 0..<rows {
            queries[i] = Int32(i)
            queries[rows + 2 * i] = 0
            queries[rows + 2 * i + 1] = Int32(row.allCount)
        }
        var shared = shared
        (shared.size, shared.value_size) = (width, width)
        (shared.query_step, shared.key_step, shared.value_step, shared.output_step) = (width, width, width, width)
        (shared.query, shared.key, shared.value, shared.output) = (UnsafePointer(parts[2]), UnsafePointer(x), UnsafePointer(x), parts[3])
        (shared.queries, shared.ranges, shared.keys) = (UnsafePointer(queries), UnsafePointer(queries + rows), UnsafePointer(row.all))
        shared.state = parts[5]
        let attend = ck_math_table().pointee.attention
        func share(_ thread: Int, _ threads: Int) {
            var a = shared
            a.space = spaces + thread * (sizes.state + sizes.space) + sizes.state
            let (first, last) = (rows * thread / threads, rows * (thread + 1) / threads)
            if first < last { _ = attend?(&a, first, last) }
        }
        if rows * row.allCount * width < ThreadTeam.grain { share(0, 1) } else { team.run(share) }

        var result = MatmulShape(batch: heads, m: count, k: width, n: size)
        (result.aStrides, result.bStrides, result.cStrides) = ([width, heads * width, 1], [size * width, 1, width], [size, inner, 1])
        try engine.matmul(result, a: parts[3], b: inputs[12].floats, result: parts[4], packsWeights: false)()
        let bias = inputs[13].floats
        for token in 0..<count {
            let target = output.floats + (batch * sizes.positions + Int(row.globals[token])) * inner
            for i in 0..<inner { target[i] = parts[4][token * inner + i] + bias[i] }
        }
    }
}
