/// How CuDNNLSTM and CuDNNGRU keep their weights, as layouts from there to the plain layers' (`_convert_rnn_weights` in tf_keras).
///
/// Gates come in the same order. Each gate's block is stored transposed within its own memory; the two biases of cuDNN lie one behind the other.
enum CuDNNLayout {
    /// [inputs, gates x units]: each gate's [inputs, units] holds what is [units, inputs] row by row.
    static func kernel(gates: Int, inputs: Int, units: Int) -> Layout {
        .sequence([
            .split(.equal(gates), axis: 1), .reshaped(from: [inputs, units], to: [units, inputs]), .transposedMatrix,
            .concatenated(.equal(gates), axis: 1),
        ])
    }

    /// [units, gates x units], each gate transposed.
    static func recurrentKernel(gates: Int) -> Layout {
        .sequence([.split(.equal(gates), axis: 1), .transposedMatrix, .concatenated(.equal(gates), axis: 1)])
    }

    /// [6 x units] of CuDNNGRU to GRU's [2, 3 x units].
    static func gruBias(units: Int) -> Layout { .reshaped(from: [6 * units], to: [2, 3 * units]) }
}
