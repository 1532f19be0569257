import ModelIR
import Testing

@Suite struct ShapeTests {
    @Test func constantsFold() {
        #expect(Dim.fixed(2) + 3 == 5)
        #expect(batch + 0 == batch && 0 + batch == batch)
        #expect(1 + batch == .sum(batch, 1))
        #expect(batch + 1 + 2 == .sum(batch, 3))
        #expect(batch + 1 - 1 == batch)
        #expect((batch + 1) + time == .sum(.sum(batch, time), 1))
        #expect(Dim.fixed(2) * 3 == 6)
        #expect(batch * 1 == batch && 1 * batch == batch && batch * 0 == 0)
        #expect(2 * batch * 3 == .product(batch, 6))
        #expect((batch * 2) * time == .product(.product(batch, time), 2))
        #expect((batch * 6).floorDivided(by: 3) == .product(batch, 2) && (batch * 6).ceilDivided(by: 6) == batch)
        #expect((batch * 5).floorDivided(by: 3) == .floorQuotient(.product(batch, 5), 3))
        #expect(batch.floorDivided(by: 1) == batch && batch.ceilDivided(by: 1) == batch)
        #expect(Dim.fixed(-3).atLeast(0) == 0 && batch.atLeast(0) == .maximum(batch, 0))
    }

    @Test func quotientsRoundToTheirSide() throws {
        for (x, n, floor, ceil) in [(7, 2, 3, 4), (8, 2, 4, 4), (-7, 2, -4, -3), (-8, 2, -4, -4), (0, 5, 0, 0), (1, Int.max, 0, 1)] {
            #expect(Dim.fixed(x).floorDivided(by: n) == .fixed(floor))
            #expect(Dim.fixed(x).ceilDivided(by: n) == .fixed(ceil))
            // The result of an evaluation isn't negative, but what is in it may be.
            #expect(try (Dim.floorQuotient(batch + .fixed(x), n) + 100).evaluate(["batch": 0]) == floor + 100)
            #expect(try (Dim.ceilQuotient(batch + .fixed(x), n) + 100).evaluate(["batch": 0]) == ceil + 100)
        }
        // Past the digits of a double, and at the ends.
        #expect(Dim.fixed(Int.max).floorDivided(by: 2) == .fixed(Int.max / 2))
        #expect(Dim.fixed(1 << 60 + 1).ceilDivided(by: 2) == .fixed(1 << 59 + 1))
        #expect(Dim.fixed(.min).ceilDivided(by: 2) == .fixed(.min / 2))
        #expect(try Dim.ceilQuotient(.fixed(.max), .max).evaluate([:]) == 1)
    }

    @Test func evaluation() throws {
        let sizes = ["batch": 3, "time": 10]
        let cases: [(Dim, Int)] = [
            (7, 7), (batch, 3), (batch + time - 2, 11), (batch * time, 30), ((time - 2).floorDivided(by: 3), 2),
            ((time - 3).ceilDivided(by: 3), 3), ((batch - 5).atLeast(0), 0), ((batch - 5).atLeast(1) * time, 10),
        ]
        for (dim, expected) in cases { #expect(try dim.evaluate(sizes) == expected, "\(dim)") }
        #expect(try Shape([batch, 4, time + 1]).evaluate(sizes) == [3, 4, 11])
    }

    @Test func evaluationFails() {
        let cases: [(Dim, String)] = [
            (.symbol("width"), "dimension 'width' has no size"), (batch - 4, "dimension (batch + -4) is negative: -1"),
            (.fixed(-1), "dimension -1 is negative: -1"), (batch * .fixed(.max), "dimension (batch * 9223372036854775807) overflows"),
            (batch + .fixed(.max), "dimension (batch + 9223372036854775807) overflows"),
            (.fixed(.max) + 1, "dimension (9223372036854775807 + 1) overflows"),
            (.fixed(1 << 62) * 2, "dimension (4611686018427387904 * 2) overflows"),
        ]
        for (dim, message) in cases {
            #expect(throws: GraphError(message)) { try dim.evaluate(["batch": 3]) }
        }
    }

    @Test func overflowKeepsTheExpression() throws {
        #expect((batch + .fixed(.max)) + 1 == .sum(.sum(batch, .fixed(.max)), 1))
        #expect((batch * .fixed(.max)) * 2 == .product(.product(batch, .fixed(.max)), 2))
        #expect(Dim.fixed(1 << 40) * .fixed(1 << 40) == .product(.fixed(1 << 40), .fixed(1 << 40)))
        // 0 - (-2^63) has no 64-bit result; -5 - (-2^63) has.
        #expect(throws: GraphError.self) { try (batch - .min).evaluate(["batch": 0]) }
        #expect((batch - .min).equals(batch) == nil)
    }

    @Test func equalityIsThreeValued() {
        #expect(Dim.fixed(2).equals(2) == true && Dim.fixed(2).equals(3) == false)
        #expect(batch.equals(batch) == true && (batch + 1).equals(1 + batch) == true)
        #expect(batch.equals(time) == nil && batch.equals(2) == nil && Dim.fixed(2).equals(batch) == nil)
        #expect((batch + 1).equals(batch) == nil)
    }

    @Test func broadcasting() {
        let cases: [(Shape, Shape, Shape?)] = [
            ([], [], []), ([2], [], [2]), ([], [2], [2]), ([1], [3], [3]), ([3], [1], [3]), ([2, 3], [3], [2, 3]), ([2, 1], [3], [2, 3]),
            ([2], [3], nil), ([2, 3], [2], nil), ([0], [1], [0]), ([0], [2], nil), ([batch], [1], [batch]), ([1], [batch], [batch]),
            ([batch], [5], [5]), ([5], [batch], [5]), ([batch], [batch], [batch]), ([batch], [time], [time]),
            ([4, 1, batch], [time, 1], [4, time, batch]),
        ]
        for (a, b, expected) in cases { #expect(Shape.broadcast(a, b) == expected, "\(a) and \(b)") }
    }

    @Test func shapes() {
        let shape: Shape = [batch, 2, 3]
        #expect(shape.rank == 3 && shape[-1] == 3 && shape[0] == batch)
        #expect(shape.elementCount == .product(batch, 6))
        #expect(shape.fixedSizes == nil && Shape(fixed: [2, 3]).fixedSizes == [2, 3] && Shape([]).elementCount == 1)
        #expect("\(ValueType(.bf16, shape))" == "bf16[batch, 2, 3]")
        #expect("\(GraphError("bad", origin: "dense"))" == "dense: bad" && "\(GraphError("bad"))" == "bad")
    }

    @Test func windows() {
        for n in 0...9 {
            for k in 1...3 {
                for s in 1...3 {
                    for d in 1...2 {
                        let reach = (k - 1) * d + 1
                        // By counting the places where a window fits.
                        let valid = n < reach ? 0 : (n - reach) / s + 1
                        let all = stride(from: 0, to: n, by: s).map { $0 }.count
                        #expect(Window.outputSize(.fixed(n), k: k, s: s, d: d, padding: .valid) == .fixed(valid))
                        #expect(Window.outputSize(.fixed(n), k: k, s: s, d: d, padding: .same) == .fixed(all))
                        #expect(Window.outputSize(.fixed(n), k: k, s: s, d: d, padding: .causal) == .fixed(all))
                        #expect(Window.padBefore(n: n, k: k, s: s, d: d, padding: .valid) == 0)
                        #expect(Window.padBefore(n: n, k: k, s: s, d: d, padding: .causal) == (k - 1) * d)
                        #expect(Window.padBefore(n: n, k: k, s: s, d: d, padding: .same) == max((all - 1) * s + reach - n, 0) / 2)
                    }
                }
            }
        }
        // TensorFlow: 10 elements, window 3, stride 2 need one of padding, which goes to the end.
        #expect(Window.padBefore(n: 10, k: 3, s: 2, d: 1, padding: .same) == 0)
        #expect(Window.padBefore(n: 9, k: 3, s: 2, d: 1, padding: .same) == 1)
    }

    /// Against Python's slices, spelled out.
    @Test func sliceBounds() {
        let cases: [(SliceRange, Int, [Int])] = [
            (SliceRange(), 4, [0, 1, 2, 3]), (SliceRange(1), 4, [1, 2, 3]), (SliceRange(-1), 4, [3]), (SliceRange(0, -1), 4, [0, 1, 2]),
            (SliceRange(1, 3), 4, [1, 2]), (SliceRange(3, 1), 4, []), (SliceRange(-9, 9), 4, [0, 1, 2, 3]), (SliceRange(9), 4, []),
            (SliceRange(-3, -1), 4, [1, 2]), (SliceRange(-1, 0), 4, []), (SliceRange(), 0, []), (SliceRange(-1), 0, []),
            (SliceRange(.min, .max), 4, [0, 1, 2, 3]), (SliceRange(.max, .min), 4, []),
        ]
        for (range, n, expected) in cases { #expect(Array(range.bounds(n)) == expected, "\(range) of \(n)") }
    }
}
