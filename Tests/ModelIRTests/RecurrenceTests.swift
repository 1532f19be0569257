import ModelIR
import Testing

/// Recurrences against numbers that a NumPy program made from the published equations, and that Keras 3 gives to float precision.
///
/// Two sequences of three steps, two features, two units. The mask hides the first sequence's first step, and the second's last two.
@Suite struct RecurrenceTests {
    static let x = RealArray(shape: [2, 3, 2], values: [0.3, 0.95, 0.66, -0.66, -0.48, 0.9, -1.19, 0.77, 0.71, -0.08, -0.47, -0.53])
    static let mask = RealArray(shape: [2, 3], values: [0, 1, 1, 1, 0, 0])
    static let hidden = RealArray(shape: [2, 2], values: [-1.13, -0.91, 1.12, 0.38])
    static let memory = RealArray(shape: [2, 2], values: [-0.17, 0.06, 0.89, -0.37])

    struct Case: Sendable, CustomTestStringConvertible {
        var cell: Recurrence.Cell
        /// Of `m`ask, `z`ero output where masked, `b`ackwards and `i`nitial state.
        var flags: String
        /// Sequence and final states.
        var expected: [[Double]]

        var testDescription: String { "\(cell) \(flags)" }
    }

    /// Kernel, recurrent kernel and bias.
    static func weights(_ cell: Recurrence.Cell) -> [RealArray] {
        let gru = [
            RealArray(shape: [2, 6], values: [0.42, -0.84, -0.14, -0.63, -0.23, -0.97, 1.12, -0.68, 0.41, -0.48, 0.9, 0.39]),
            RealArray(shape: [2, 6], values: [-0.88, 0.83, 1.07, 0.97, 0.17, -0.85, -0.74, 1.03, 0.13, -0.77, 0.92, 0.34]),
        ]
        switch cell {
        case .simple:
            return [
                RealArray(shape: [2, 2], values: [-0.59, -0.13, 0.01, 0.13]), RealArray(shape: [2, 2], values: [1.19, 0.7, 0.29, 1.17]),
                RealArray(shape: [2], values: [-0.68, -0.82]),
            ]
        case .lstm:
            return [
                RealArray(
                    shape: [2, 8],
                    values: [0.27, -1.09, -1.11, 0.04, -0.08, 1.0, 0.31, 0.03, -0.01, -0.61, -1.17, -0.74, 0.46, -0.72, -0.31, -1.19]),
                RealArray(
                    shape: [2, 8],
                    values: [0.79, -0.83, -0.56, 0.91, 0.02, 0.83, 0.34, 0.58, -0.98, 0.1, 0.02, 0.89, -0.33, 0.24, -1.06, -0.27]),
                RealArray(shape: [8], values: [-0.42, -0.84, 0.76, -0.29, 1.15, 0.22, 0.25, 0.33]),
            ]
        case .gru(resetAfter: false): return gru + [RealArray(shape: [6], values: [0.17, -0.3, -0.21, -0.63, -1.11, 0.9])]
        case .gru(resetAfter: true):
            return gru + [RealArray(shape: [2, 6], values: [0.17, -0.3, -0.21, -0.63, -1.11, 0.9, -0.08, 0.11, -0.43, 0.6, -1.14, -0.31])]
        }
    }

    private func run(_ recurrence: Recurrence, x: RealArray = x, weights: [RealArray]) throws -> [RealArray] {
        var inputs = [x] + weights
        if recurrence.hasMask { inputs.append(Self.mask) }
        if recurrence.hasInitialState { inputs += recurrence.cell == .lstm ? [Self.hidden, Self.memory] : [Self.hidden] }
        guard case .loop(let loop) = Composite.recurrence(recurrence).definition else { throw GraphError("no loop") }
        return try loop(inputs)
    }

    private func recurrence(_ cell: Recurrence.Cell, _ flags: String, hasBias: Bool = true) -> Recurrence {
        Recurrence(
            cell: cell, activation: .tanh, recurrentActivation: .sigmoid, hasBias: hasBias, hasMask: flags.contains("m"),
            hasInitialState: flags.contains("i"), goesBackwards: flags.contains("b"), zeroesMaskedOutput: flags.contains("z"))
    }

    @Test(arguments: cases) func matchesNumPy(_ example: Case) throws {
        let results = try run(recurrence(example.cell, example.flags), weights: Self.weights(example.cell))
        #expect(results.map(\.shape) == Array([[2, 3, 2], [2, 2], [2, 2]].prefix(example.expected.count)))
        for (result, expected) in zip(results, example.expected) { expectClose(result.values, expected, tolerance: 1e-11) }
    }

    @Test func noBiasIsAZeroBias() throws {
        for cell in [Recurrence.Cell.simple, .lstm, .gru(resetAfter: false), .gru(resetAfter: true)] {
            var weights = Self.weights(cell)
            let without = try run(recurrence(cell, "", hasBias: false), weights: Array(weights.dropLast()))
            weights[2].values = weights[2].values.map { _ in 0 }
            let with = try run(recurrence(cell, ""), weights: weights)
            #expect(without == with)
        }
    }

    /// One step of one unit, by hand.
    @Test func oneStepByHand() throws {
        let x = RealArray(shape: [1, 1, 1], values: [2])
        func step(_ cell: Recurrence.Cell, _ kernel: [Double]) throws -> [RealArray] {
            let gates = cell.gateCount
            return try run(
                Recurrence(
                    cell: cell, activation: .linear, recurrentActivation: .linear, hasBias: false, hasMask: false, hasInitialState: false,
                    goesBackwards: false, zeroesMaskedOutput: false), x: x,
                weights: [RealArray(shape: [1, gates], values: kernel), RealArray(shape: [1, gates], values: kernel.map { _ in 100 })])
        }
        // From a zero state the recurrent kernel doesn't count: i = 6, c = 14, o = 22.
        expectValues(try step(.lstm, [3, 5, 7, 11]), [[1848], [1848], [84]])
        // (1 - z) * candidate, z = 6, candidate = 14.
        expectValues(try step(.gru(resetAfter: false), [3, 5, 7]), [[-70], [-70]])
        expectValues(try step(.gru(resetAfter: true), [3, 5, 7]), [[-70], [-70]])
        expectValues(try step(.simple, [3]), [[6], [6]])
    }

    private func expectValues(_ results: [RealArray], _ expected: [[Double]]) { #expect(results.map(\.values) == expected) }

    @Test func noStepsLeaveTheInitialState() throws {
        let x = RealArray(shape: [2, 0, 2], values: [])
        var recurrence = recurrence(.lstm, "i")
        recurrence.hasMask = false
        let results = try run(recurrence, x: x, weights: Self.weights(.lstm))
        #expect(results.map(\.shape) == [[2, 0, 2], [2, 2], [2, 2]])
        #expect(results[1] == Self.hidden && results[2] == Self.memory)
    }

    @Test func positionsOfTheInputs() {
        let all = recurrence(.lstm, "mi")
        #expect([all.biasIndex, all.maskIndex, all.firstStateIndex] == [3, 4, 5] && all.inputCount == 7)
        let some = recurrence(.gru(resetAfter: true), "i", hasBias: false)
        #expect([some.biasIndex, some.maskIndex, some.firstStateIndex] == [nil, nil, 3] && some.inputCount == 4)
        #expect([Recurrence.Cell.simple, .lstm, .gru(resetAfter: true)].map(\.gateCount) == [1, 4, 3])
    }
}
