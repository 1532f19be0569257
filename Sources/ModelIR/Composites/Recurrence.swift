/// A recurrent layer over time: simple RNN, LSTM or GRU, in Keras' layout.
///
/// Inputs, in order: x [batch, time, features]; kernel [features, gates * units]; recurrent kernel [units, gates * units];
/// bias where `hasBias`: [gates * units], for GRU with reset_after [2, 3 * units] (row 0 input, row 1 recurrent);
/// mask where `hasMask`: bool [batch, time]; initial states where `hasInitialState`: [batch, units] each (LSTM: hidden, then cell).
/// Outputs: sequence [batch, time, units], then the final states [batch, units].
///
/// A step whose mask is false leaves the state as it is; its output repeats the one before (zeros at first), or is zero with
/// `zeroesMaskedOutput`. With `goesBackwards` time is walked from the end, and the sequence is in the order of walking.
/// Sources: Keras `layers/rnn/{simple_rnn,lstm,gru}.py`; Hochreiter and Schmidhuber 1997; Cho et al. 2014.
public struct Recurrence: Hashable, Sendable {
    public enum Cell: Hashable, Sendable {
        /// h = f(x W + h U + b)
        case simple
        /// Gates i, f, c, o: c' = f * c + i * act(..), h' = o * act(c').
        case lstm
        /// Gates z, r, h: h' = z * h + (1 - z) * candidate. resetAfter: candidate = act(x W + b_i + r * (h U + b_r)),
        /// else act(x W + b + (r * h) U).
        case gru(resetAfter: Bool)

        /// Blocks of `units` columns in the kernels.
        public var gateCount: Int {
            switch self {
            case .simple: 1
            case .lstm: 4
            case .gru: 3
            }
        }

        public var stateCount: Int {
            switch self {
            case .simple, .gru: 1
            case .lstm: 2
            }
        }
    }

    public var cell: Cell
    public var activation: Activation
    /// Of the gates; unused by the simple cell.
    public var recurrentActivation: Activation
    public var hasBias: Bool
    public var hasMask: Bool
    public var hasInitialState: Bool
    public var goesBackwards: Bool
    public var zeroesMaskedOutput: Bool

    public init(
        cell: Cell, activation: Activation, recurrentActivation: Activation, hasBias: Bool, hasMask: Bool, hasInitialState: Bool,
        goesBackwards: Bool, zeroesMaskedOutput: Bool
    ) {
        self.cell = cell
        self.activation = activation
        self.recurrentActivation = recurrentActivation
        self.hasBias = hasBias
        self.hasMask = hasMask
        self.hasInitialState = hasInitialState
        self.goesBackwards = goesBackwards
        self.zeroesMaskedOutput = zeroesMaskedOutput
    }

    /// Positions in the list of inputs.
    public var biasIndex: Int? { hasBias ? 3 : nil }
    public var maskIndex: Int? { hasMask ? 3 + (hasBias ? 1 : 0) : nil }
    public var firstStateIndex: Int? { hasInitialState ? 3 + (hasBias ? 1 : 0) + (hasMask ? 1 : 0) : nil }
    public var inputCount: Int { 3 + (hasBias ? 1 : 0) + (hasMask ? 1 : 0) + (hasInitialState ? cell.stateCount : 0) }

    public var name: String {
        switch cell {
        case .simple: "simple_rnn"
        case .lstm: "lstm"
        case .gru: "gru"
        }
    }

    func inferTypes(_ inputs: [ValueType]) throws(GraphError) -> [ValueType] {
        guard inputs.count == inputCount else { throw GraphError("\(name) takes \(inputCount) inputs, not \(inputs.count)") }
        let x = inputs[0]
        guard x.dtype.isFloat, x.shape.rank == 3 else { throw GraphError("\(name) takes floats [batch, time, features], not \(x)") }
        try requireSameDType(inputs.enumerated().filter { $0.offset != maskIndex }.map(\.element), name)
        guard activation != .glu, recurrentActivation != .glu else { throw GraphError("\(name) can't halve its units by glu") }
        let gates = cell.gateCount
        guard inputs[2].shape.rank == 2, let units = inputs[2].shape[0].fixedValue else {
            throw GraphError("\(name)'s recurrent kernel has shape \(inputs[2].shape), not [units, \(gates) * units]")
        }
        func require(_ index: Int, _ what: String, _ shape: Shape) throws(GraphError) {
            guard inputs[index].shape.rank == shape.rank,
                zip(inputs[index].shape.dims, shape.dims).allSatisfy({ $0.equals($1) != false })
            else { throw GraphError("\(name)'s \(what) has shape \(inputs[index].shape), not \(shape)") }
        }
        let width = Dim.fixed(gates) * .fixed(units)
        try require(1, "kernel", [x.shape[2], width])
        try require(2, "recurrent kernel", [.fixed(units), width])
        if let biasIndex { try require(biasIndex, "bias", cell == .gru(resetAfter: true) ? [2, width] : [width]) }
        if let maskIndex {
            try require(maskIndex, "mask", [x.shape[0], x.shape[1]])
            let dtype = inputs[maskIndex].dtype
            guard dtype == .bool else { throw GraphError("\(name)'s mask is \(dtype.rawValue), not bool") }
        }
        if let firstStateIndex {
            for i in 0..<cell.stateCount { try require(firstStateIndex + i, "initial state", [x.shape[0], .fixed(units)]) }
        }
        let state = ValueType(x.dtype, [x.shape[0], .fixed(units)])
        return [ValueType(x.dtype, [x.shape[0], x.shape[1], .fixed(units)])] + Array(repeating: state, count: cell.stateCount)
    }

    /// The definition: one step after the other, in double precision.
    public func reference(_ inputs: [RealArray]) throws(GraphError) -> [RealArray] {
        let (x, kernel, recurrent) = (inputs[0], inputs[1], inputs[2])
        let (batch, time, features) = (x.shape[0], x.shape[1], x.shape[2])
        let units = recurrent.shape[0]
        let width = cell.gateCount * units
        let bias = biasIndex.map { inputs[$0].values } ?? []
        let mask = maskIndex.map { inputs[$0].values }
        let resetsAfter = cell == .gru(resetAfter: true)

        /// result[columns] = row x matrix [row.count, width], columns `columns`; the loop over columns is the inner one, so that it vectorises.
        func multiply(_ row: ArraySlice<Double>, _ matrix: [Double], _ columns: Range<Int>, into result: inout [Double]) {
            result.withUnsafeMutableBufferPointer { result in
                matrix.withUnsafeBufferPointer { matrix in
                    for j in columns { result[j] = 0 }
                    for (i, a) in row.enumerated() {
                        for j in columns { result[j] += a * matrix[i &* width &+ j] }
                    }
                }
            }
        }
        /// Products with the kernel and with the recurrent kernel, at every step.
        var a = [Double](repeating: 0, count: width)
        var r = a

        var sequence = [Double](repeating: 0, count: batch * time * units)
        var finalHidden: [Double] = []
        var finalCell: [Double] = []
        for b in 0..<batch {
            var hidden = [Double](repeating: 0, count: units)
            var memory = hidden
            if let first = firstStateIndex {
                hidden = Array(inputs[first].values[b * units..<(b + 1) * units])
                if cell == .lstm { memory = Array(inputs[first + 1].values[b * units..<(b + 1) * units]) }
            }
            var lastOutput = [Double](repeating: 0, count: units)
            for step in 0..<time {
                let t = goesBackwards ? time - 1 - step : step
                var output = lastOutput
                if mask.map({ $0[b * time + t] != 0 }) ?? true {
                    let row = x.values[(b * time + t) * features..<(b * time + t + 1) * features]
                    multiply(row, kernel.values, 0..<width, into: &a)
                    if hasBias { for j in 0..<width { a[j] += bias[j] } }
                    switch cell {
                    case .simple:
                        multiply(hidden[...], recurrent.values, 0..<width, into: &r)
                        hidden = activation.evaluate(row: (0..<units).map { a[$0] + r[$0] })
                    case .lstm:
                        multiply(hidden[...], recurrent.values, 0..<width, into: &r)
                        func gate(_ k: Int, _ f: Activation) -> [Double] {
                            f.evaluate(row: (0..<units).map { a[k * units + $0] + r[k * units + $0] })
                        }
                        let (input, forget) = (gate(0, recurrentActivation), gate(1, recurrentActivation))
                        let (candidate, out) = (gate(2, activation), gate(3, recurrentActivation))
                        memory = (0..<units).map { forget[$0] * memory[$0] + input[$0] * candidate[$0] }
                        let active = activation.evaluate(row: memory)
                        hidden = (0..<units).map { out[$0] * active[$0] }
                    case .gru:
                        multiply(hidden[...], recurrent.values, 0..<(resetsAfter ? width : 2 * units), into: &r)
                        if resetsAfter && hasBias { for j in 0..<width { r[j] += bias[width + j] } }
                        func gate(_ k: Int) -> [Double] {
                            recurrentActivation.evaluate(row: (0..<units).map { a[k * units + $0] + r[k * units + $0] })
                        }
                        let (update, reset) = (gate(0), gate(1))
                        let inner: [Double]
                        if resetsAfter {
                            inner = (0..<units).map { a[2 * units + $0] + reset[$0] * r[2 * units + $0] }
                        } else {
                            let state = (0..<units).map { reset[$0] * hidden[$0] }
                            multiply(state[...], recurrent.values, 2 * units..<width, into: &r)
                            inner = (0..<units).map { a[2 * units + $0] + r[2 * units + $0] }
                        }
                        let candidate = activation.evaluate(row: inner)
                        hidden = (0..<units).map { update[$0] * hidden[$0] + (1 - update[$0]) * candidate[$0] }
                    }
                    output = hidden
                } else if zeroesMaskedOutput {
                    output = [Double](repeating: 0, count: units)
                }
                for j in 0..<units { sequence[(b * time + step) * units + j] = output[j] }
                lastOutput = output
            }
            finalHidden += hidden
            finalCell += memory
        }
        let state = RealArray(shape: [batch, units], values: finalHidden)
        let result = [RealArray(shape: [batch, time, units], values: sequence), state]
        return cell == .lstm ? result + [RealArray(shape: [batch, units], values: finalCell)] : result
    }
}
