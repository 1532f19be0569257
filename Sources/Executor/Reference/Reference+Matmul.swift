import ModelIR

extension Reference {
    static func matmul(_ a: ReferenceArray, _ b: ReferenceArray, _ type: ConcreteType) -> ReferenceArray {
        let rank = type.shape.count
        let (m, n, k) = (type.shape[rank - 2], type.shape[rank - 1], a.shape[a.shape.count - 1])
        let leading = Array(type.shape[..<(rank - 2)])
        // Strides of the leading dimensions, counted in matrices.
        let walk = StridedWalk(
            leading, contiguousStrides(leading), broadcastStrides(Array(a.shape.dropLast(2)), to: leading),
            broadcastStrides(Array(b.shape.dropLast(2)), to: leading))
        var result = [Double](repeating: 0, count: type.count)
        let (x, y) = (a.doubles, b.doubles)
        result.withUnsafeMutableBufferPointer { result in
            x.withUnsafeBufferPointer { x in
                y.withUnsafeBufferPointer { y in
                    guard let result = result.baseAddress, let x = x.baseAddress, let y = y.baseAddress else { return }
                    let (count, step) = (walk.rowLength, walk.rowStrides)
                    walk.forEachRow { at in
                        for i in 0..<count {
                            accumulateProduct(
                                x + (at[1] + i * step[1]) * m * k, y + (at[2] + i * step[2]) * k * n, into: result + (at[0] + i) * m * n, m,
                                k, n)
                        }
                    }
                }
            }
        }
        return ReferenceArray(type, result)
    }

    /// c [m, n] += a [m, k] x b [k, n]. Every element is summed in the order of k; four rows at a time share what is read of b.
    static func accumulateProduct(
        _ a: UnsafePointer<Double>, _ b: UnsafePointer<Double>, into c: UnsafeMutablePointer<Double>, _ m: Int, _ k: Int, _ n: Int
    ) {
        var i = 0
        while i + 4 <= m {
            let (c0, c1, c2, c3) = (c + i * n, c + (i + 1) * n, c + (i + 2) * n, c + (i + 3) * n)
            for p in 0..<k {
                let (a0, a1, a2, a3) = (a[i * k + p], a[(i + 1) * k + p], a[(i + 2) * k + p], a[(i + 3) * k + p])
                let row = b + p * n
                for j in 0..<n {
                    let y = row[j]
                    c0[j] += a0 * y
                    c1[j] += a1 * y
                    c2[j] += a2 * y
                    c3[j] += a3 * y
                }
            }
            i += 4
        }
        while i < m {
            let target = c + i * n
            for p in 0..<k {
                let x = a[i * k + p]
                let row = b + p * n
                for j in 0..<n { target[j] += x * row[j] }
            }
            i += 1
        }
    }
}
