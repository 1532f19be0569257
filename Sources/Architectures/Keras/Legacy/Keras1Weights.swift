import ModelIR

/// Weights as Keras 1 kept them: an array for each gate, convolutions over time as convolutions over a plane of width 1.
enum Keras1Weights {
    /// Which arrays form kernel, recurrent kernel and bias; LSTM i, c, f, o to i, f, c, o.
    private static let lstm = [[0, 6, 3, 9], [1, 7, 4, 10], [2, 8, 5, 11]]
    /// GRU z, r, h.
    private static let gru = [[0, 3, 6], [1, 4, 7], [2, 5, 8]]

    /// The number of arrays that an LSTM or GRU has, by its number of gates.
    static func arrayCount(gates: Int) -> Int { 3 * gates }

    /// Whether arrays, the first being the kernel's, lie gate by gate.
    static func areGates(_ arrays: ArraySlice<Tensor>, gates: Int) -> Bool {
        guard gates > 1, arrays.count >= arrayCount(gates: gates) else { return false }
        let recurrent = arrays[arrays.startIndex + 1].shape
        return recurrent.count == 2 && recurrent[0] == recurrent[1]
    }

    /// Kernel, recurrent kernel and bias of an LSTM's 12 or a GRU's 9 arrays.
    static func joined(_ arrays: [Tensor], gates: Int) throws -> [Tensor] {
        try (gates == 4 ? lstm : gru).map { indices in
            try Layout.concatenated(.equal(gates), axis: -1).apply(indices.map { arrays[$0] })[0]
        }
    }

    /// Kernel of a convolution over time: [size, 1, in, filters], before Keras 1.2 [filters, in, size, 1], to [size, in, filters].
    static func timeConvolution(_ shape: [Int], size: Int?, filters: Int?) -> Layout? {
        guard shape.count == 4 else { return nil }
        let drop = { (a: Int, b: Int, c: Int) in Layout.reshaped(from: [a, 1, b, c], to: [a, b, c]) }
        if shape[1] == 1, size == nil || shape[0] == size, filters == nil || shape[3] == filters {
            return drop(shape[0], shape[2], shape[3])
        }
        if shape[3] == 1, size == nil || shape[2] == size, filters == nil || shape[0] == filters {
            return Layout.transposed([2, 3, 1, 0]).then(drop(shape[2], shape[1], shape[0]))
        }
        return nil
    }

    /// Kernel of a convolution over a plane under `dim_ordering` th: [filters, in, rows, columns] to [rows, columns, in, filters].
    static let planeConvolution = Layout.transposed([2, 3, 1, 0])
}
