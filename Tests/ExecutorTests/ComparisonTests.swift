import ModelIR
import Testing

@testable import Executor

@Suite struct ComparisonTests {
    @Test func boundIsTheRMSOfTheChannel() throws {
        // Channels with RMS 1000 and 1: 5e-3 is within 1e-5 of the first only.
        let b = real([2, 2], [1000, 1, -1000, 1])
        let passing = try compare(real([2, 2], [1000.005, 1, -1000, 1]), b)
        #expect(passing.passes && passing.count == 4 && passing.maximumIndex == [0, 0])
        #expect(abs(passing.maximumDifference - 0.005) < 1e-9 && abs(passing.meanDifference - 0.00125) < 1e-9)
        let failing = try compare(real([2, 2], [1000, 1, -1000, 1.005]), b)
        #expect(!failing.passes && failing.failingCount == 1 && failing.firstFailingIndex == [1, 1])
        #expect(failing.maximumRatio > 400)
        // An element near zero in a channel that isn't.
        #expect(try compare(real([2, 1], [1e-6, 1]), real([2, 1], [0, 1])).passes)
        // Rank 1: one channel.
        #expect(try compare(real([2], [1000, 0.005]), real([2], [1000, 0])).passes)
        #expect(try compare(real([], [1.1]), real([], [1]), tolerance: Tolerance(absolute: 0, relative: 0.11)).passes)
        #expect(try compare(real([1], [1e-7]), real([1], [0])).passes)
        #expect(try compare(real([1], [0]), real([1], [0]), tolerance: Tolerance(absolute: 0, relative: 0)).passes)
    }

    @Test func specialValues() throws {
        let inf = Double.infinity
        func passes(_ a: Double, _ b: Double) throws -> Bool { try compare(real([2], [a, 1]), real([2], [b, 1])).passes }
        #expect(try passes(inf, inf) && passes(-inf, -inf))
        #expect(try !passes(inf, -inf) && !passes(inf, 1) && !passes(1, -inf))
        #expect(try !passes(.nan, .nan) && !passes(.nan, 1) && !passes(1, .nan))
        let report = try compare(real([3], [.nan, 1, inf]), real([3], [2, 1, inf]))
        #expect(report.failingCount == 1 && report.statisticsA.nonFiniteCount == 2 && report.maximumDifference == 0)
        #expect(report.statisticsB.rms == 2.5.squareRoot())
    }

    @Test func shapesAndEmptiness() throws {
        let differ = try compare(real([2], [1, 2]), real([2, 1], [1, 2]))
        #expect(!differ.passes && differ.count == 0)
        #expect(differ.description == "shapes differ: [2] and [2, 1]")
        let empty = try compare(real([0, 3], []), real([0, 3], []))
        #expect(empty.passes && empty.count == 0 && empty.maximumIndex == nil)
        #expect(try compare(integers([2], [1, 2]), real([2], [1, 2])).passes)
    }

    @Test func report() throws {
        let values = (1...100).map { Double($0) }
        let report = try compare(real([100], values.map { -$0 }), real([100], values))
        #expect(report.statisticsA.percentiles == [50, 90, 99])
        #expect(report.statisticsB.percentiles == [50, 90, 99])
        #expect(
            report.description == """
                0 of 100 within tolerance, largest difference 2.0e2 at [99], mean 1.01e2
                  first at [0]; a: rms 5.817e1, 50/90/99 % 5.0e1/9.0e1/9.9e1; b: rms 5.817e1, 50/90/99 % 5.0e1/9.0e1/9.9e1
                """)
    }

    @Test func generatorNeverChanges() {
        var random = SeededGenerator(seed: 1_234_567)
        // The published sequence of SplitMix64.
        #expect(
            (0..<5).map { _ in random.next() } == [
                6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423, 4_593_380_528_125_082_431,
                16_408_922_859_458_223_821,
            ])
        var other = SeededGenerator(seed: 42)
        let numbers = (0..<10_000).map { _ in other.normal() }
        let mean = numbers.reduce(0, +) / 10_000
        let variance = numbers.reduce(0) { $0 + $1 * $1 } / 10_000
        #expect(abs(mean) < 0.05 && abs(variance - 1) < 0.05)
        for _ in 0..<1000 {
            #expect((-3..<4).contains(other.integer(in: -3..<4)))
            #expect((0..<1).contains(other.uniform()))
        }
        #expect(other.integer(in: Int.min..<Int.max) != other.integer(in: Int.min..<Int.max))
    }
}
