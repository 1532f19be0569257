import ModelIR
import Testing

@testable import Executor

/// The fused recurrent kernel against the definition.
@Suite(.serialized) struct FastRecurrenceTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var cell: Recurrence.Cell
        var (batch, time, features, units): (Int, Int, Int, Int)
        var testDescription: String { "\(cell) \(batch) x \(time) x \(features) -> \(units)" }
    }

    static let cases: [Case] = [Recurrence.Cell.simple, .lstm, .gru(resetAfter: true), .gru(resetAfter: false)].flatMap { cell in
        [
            Case(cell: cell, batch: 1, time: 5, features: 3, units: 4), Case(cell: cell, batch: 5, time: 7, features: 10, units: 17),
            Case(cell: cell, batch: 4, time: 3, features: 6, units: 160), Case(cell: cell, batch: 2, time: 0, features: 3, units: 5),
            Case(cell: cell, batch: 0, time: 3, features: 3, units: 5), Case(cell: cell, batch: 6, time: 20, features: 1, units: 32),
            // Threads with rows of their own: three each, or one more.
            Case(cell: cell, batch: 5, time: 4, features: 3, units: 130), Case(cell: cell, batch: 7, time: 20, features: 5, units: 40),
            // Threads with units of their own, of one row; and of rows that a block between them is cut at.
            Case(cell: cell, batch: 1, time: 4, features: 2, units: 260), Case(cell: cell, batch: 3, time: 3, features: 3, units: 300),
        ]
    }

    @Test(arguments: cases)
    func againstDefinition(_ test: Case) throws {
        var random = SeededGenerator(seed: 11)
        let width = test.cell.gateCount * test.units
        for options in 0..<32 {
            let (bias, mask, initial) = (options & 1 == 0, options & 2 != 0, options & 4 != 0)
            let (backwards, zeroes) = (options & 8 != 0, options & 16 != 0)
            let recurrence = Recurrence(
                cell: test.cell, activation: options % 5 == 4 ? .relu : .tanh,
                recurrentActivation: options % 3 == 2 ? .hardSigmoid(slope: 0.2, offset: 0.5) : .sigmoid, hasBias: bias, hasMask: mask,
                hasInitialState: initial, goesBackwards: backwards, zeroesMaskedOutput: zeroes)
            let scale = 0.5 / Double(test.units).squareRoot()
            var inputs = [
                random.tensor([test.batch, test.time, test.features]), random.tensor([test.features, width], scale: 0.5),
                random.tensor([test.units, width], scale: scale),
            ]
            if bias { inputs.append(random.tensor(test.cell == .gru(resetAfter: true) ? [2, width] : [width], scale: 0.3)) }
            if mask {
                inputs.append(bools([test.batch, test.time], (0..<test.batch * test.time).map { _ in random.uniform() < 0.6 ? 1 : 0 }))
            }
            if initial { for _ in 0..<test.cell.stateCount { inputs.append(random.tensor([test.batch, test.units])) } }
            try expectFastMatches(.composite(.recurrence(recurrence)), inputs, constants: bias ? [1, 2, 3] : [1, 2], tolerance: 3e-6)
        }
    }

    /// Weights that aren't parameters, and activations along an axis: the reference kernel takes over.
    @Test func unusual() throws {
        var random = SeededGenerator(seed: 12)
        let inputs = [random.tensor([2, 3, 4]), random.tensor([4, 12]), random.tensor([3, 12]), random.tensor([12])]
        for activation in [Activation.tanh, .softmax] {
            let recurrence = Recurrence(
                cell: .lstm, activation: activation, recurrentActivation: .sigmoid, hasBias: true, hasMask: false, hasInitialState: false,
                goesBackwards: false, zeroesMaskedOutput: false)
            try expectFastMatches(.composite(.recurrence(recurrence)), inputs, constants: activation == .softmax ? [1, 2, 3] : [])
        }
    }
}
