import Architectures
import ByteIO
import ModelIR
import TestSupport
import Testing

@Suite struct LayoutTests {
    /// A tensor whose bytes are all random: signalling NaNs and every other bit pattern among them.
    private func random(_ dtype: DType, _ shape: [Int], _ random: inout SplitMix) -> Tensor {
        Tensor(
            dtype: dtype, shape: shape, bytes: (0..<shape.reduce(1, *) * dtype.size).map { _ in UInt8.random(in: 0...255, using: &random) })
    }

    /// A layout that fits a tensor of `shape`.
    private func random(fitting shape: [Int], depth: Int, _ random: inout SplitMix) -> Layout {
        let axis = Int.random(in: 0..<shape.count, using: &random)
        let sign = Bool.random(using: &random) ? 0 : shape.count
        switch Int.random(in: 0..<(depth > 0 ? 7 : 5), using: &random) {
        case 0: return .same
        case 1: return .transposed(shape.indices.shuffled(using: &random))
        case 2:
            // Where nothing is in it, a size can't be told from the number of elements.
            if shape.contains(0) { return .reshaped(from: shape, to: [0]) }
            return .reshaped(
                from: shape.indices.map { $0 == axis ? -1 : shape[$0] }, to: Bool.random(using: &random) ? [-1] : [shape[0], -1, 1])
        case 3:
            let counts = (1...max(1, shape[axis])).filter { shape[axis] % $0 == 0 }
            let count = counts.randomElement(using: &random) ?? 1
            return .gates((0..<count).shuffled(using: &random), axis: axis - sign)
        case 4:
            let first = Int.random(in: 0...shape[axis], using: &random)
            let last = Int.random(in: 0...(shape[axis] - first), using: &random)
            return .split(.sizes([first, -1, last]), axis: axis - sign)
        case 5:
            var layouts: [Layout] = []
            var current = shape
            for _ in 0..<3 {
                let next = self.random(fitting: current, depth: 0, &random)
                if case .split = next { continue }
                layouts.append(next)
                guard let result = try? next.apply(Tensor([Double](repeating: 0, count: current.reduce(1, *)), shape: current)) else {
                    break
                }
                current = result.shape
            }
            return .sequence(layouts)
        default:
            return .split(.sizes([shape[axis], 0]), axis: axis).then(
                .each([self.random(fitting: shape, depth: 0, &random), .same].map { if case .split = $0 { .same } else { $0 } }))
        }
    }

    @Test(arguments: DType.allCases) func thereAndBackIsBitExact(_ dtype: DType) throws {
        var generator = SplitMix(seed: 11)
        for round in 0..<300 {
            let shape = (0..<Int.random(in: 1...4, using: &generator)).map { _ in
                Int.random(in: round % 10 == 0 ? 0...3 : 1...7, using: &generator)
            }
            let tensor = random(dtype, shape, &generator)
            let layout = random(fitting: shape, depth: 2, &generator)
            let there = try layout.apply([tensor])
            let back = try layout.inverse.apply(there)
            #expect(back.count == 1 && back[0].shape == shape && back[0].dtype == dtype, "\(layout)")
            #expect(try back[0].bytes() == tensor.bytes(), "\(layout) of \(shape)")
            #expect(layout.inverse.inverse == layout)
            #expect(there.reduce(0) { $0 + $1.count } == tensor.count)
            for part in there {
                var pieces: [UInt8] = []
                try part.forEachPiece(ofSize: 24) { pieces += $0 }
                #expect(try pieces == part.bytes())
            }
        }
    }

    /// Layouts one after the other take elements straight from the first source; one at a time, from memory, they can't.
    @Test func composedLayoutsMoveTheSameElements() throws {
        var generator = SplitMix(seed: 12)
        for _ in 0..<600 {
            let shape = (0..<Int.random(in: 2...4, using: &generator)).map { _ in Int.random(in: 1...6, using: &generator) }
            let tensor = random(.u16, shape, &generator)
            var (composed, stepwise) = ([tensor], [tensor])
            for _ in 0..<4 {
                var layout = random(fitting: composed[0].shape, depth: 0, &generator)
                if composed.count > 1 {
                    // Joined again, not always in the order in which they were cut.
                    composed.swapAt(0, 1)
                    stepwise.swapAt(0, 1)
                    let axis = composed[0].shape.indices.first { axis in
                        Set(composed.map { $0.shape.enumerated().filter { $0.offset != axis }.map(\.element) }).count == 1
                    }
                    guard let axis else { break }
                    layout = .concatenated(.sizes(composed.map { $0.shape[axis] }), axis: axis)
                }
                composed = try layout.apply(composed)
                stepwise = try layout.apply(stepwise).map { Tensor(dtype: $0.dtype, shape: $0.shape, bytes: try $0.bytes()) }
                #expect(composed.map(\.shape) == stepwise.map(\.shape))
                #expect(try composed.map { try $0.bytes() } == stepwise.map { try $0.bytes() }, "\(layout) of \(shape)")
            }
        }
    }

    /// What comes back to where it was is read where it lies.
    @Test func thereAndBackMovesNothing() throws {
        let tensor = Tensor((0..<210).map { Float($0) }, shape: [5, 6, 7])
        for layout: Layout in [
            .transposed([2, 0, 1]), .gates([2, 0, 1], axis: 1), .transposed([0, 2, 1]).then(.gates([1, 0], axis: -1)),
            .gates([4, 2, 0, 1, 3], axis: 0).then(.transposed([1, 0, 2])), .split(.sizes([2, -1]), axis: 2),
            .reshaped(from: [5, 6, 7], to: [30, 7]).then(.transposedMatrix),
        ] {
            let there = try layout.apply([tensor])
            #expect(there.contains { $0.storage.region == nil }, "\(layout)")
            let back = try layout.inverse.apply(there)
            #expect(back.count == 1 && back[0].storage.region?.offset == 0, "\(layout)")
            #expect(try back[0].bytes() == tensor.bytes())
        }
        // But half of the way back moves elements.
        let half = try Layout.gates([1, 0], axis: 1).apply(
            Layout.transposed([0, 2, 1]).inverse.apply(Layout.transposed([0, 2, 1]).apply(tensor)))
        #expect(half.storage.region == nil)
    }

    @Test func whatEachDoes() throws {
        let matrix = Tensor([0, 1, 2, 3, 4, 5, 6, 7] as [Double], shape: [2, 4])
        func values(_ layout: Layout) throws -> [[Double]] { try layout.apply([matrix]).map { try $0.doubles() } }
        #expect(try values(.transposedMatrix) == [[0, 4, 1, 5, 2, 6, 3, 7]])
        #expect(try Layout.transposedMatrix.apply(matrix).shape == [4, 2])
        #expect(try values(.gates([1, 0], axis: -1)) == [[2, 3, 0, 1, 6, 7, 4, 5]])
        #expect(try values(.gates([1, 3, 0, 2], axis: 1)) == [[1, 3, 0, 2, 5, 7, 4, 6]])
        #expect(try values(.gates([1, 0], axis: 0)) == [[4, 5, 6, 7, 0, 1, 2, 3]])
        #expect(try values(.split(.equal(2), axis: 1)) == [[0, 1, 4, 5], [2, 3, 6, 7]])
        #expect(try values(.split(.sizes([1, -1]), axis: 0)) == [[0, 1, 2, 3], [4, 5, 6, 7]])
        #expect(
            try values(.split(.equal(2), axis: 0).then(.transposedMatrix).then(.concatenated(.equal(2), axis: 1))) == [
                [0, 4, 1, 5, 2, 6, 3, 7]
            ])
        let cube = Tensor((0..<24).map { Double($0) }, shape: [2, 3, 4])
        let turned = try Layout.transposed([2, 0, 1]).apply(cube)
        #expect(turned.shape == [4, 2, 3])
        var wanted: [Double] = []
        for k in 0..<4 { for i in 0..<2 { for j in 0..<3 { wanted.append(Double(i * 12 + j * 4 + k)) } } }
        #expect(try turned.doubles() == wanted)
        #expect(try Layout.reshaped(from: [2, 3, -1], to: [6, -1]).apply(cube).shape == [6, 4])
    }

    /// Larger than the tiles, with sides that are no multiples of them.
    @Test func largeTranspositions() throws {
        let (rows, columns) = (77, 131)
        let tensor = Tensor((0..<rows * columns).map { Float($0) }, shape: [rows, columns])
        let turned = try Layout.transposedMatrix.apply(tensor).floats()
        var wanted: [Float] = []
        for j in 0..<columns { for i in 0..<rows { wanted.append(Float(i * columns + j)) } }
        #expect(turned == wanted)
    }

    @Test func whatDoesNotFitIsRefused() {
        let matrix = Tensor([0, 1, 2, 3, 4, 5] as [Double], shape: [2, 3])
        let vector = Tensor([0, 1] as [Float], shape: [2])
        let refused: [(Layout, [Tensor])] = [
            (.transposed([1, 0]), [vector]), (.transposed([0, 0]), [matrix]), (.reshaped(from: [3, -1], to: [-1]), [matrix]),
            (.reshaped(from: [2, 3], to: [4, -1]), [matrix]), (.reshaped(from: [2, 3], to: [0, -1]), [matrix]),
            (.gates([1, 0], axis: 1), [matrix]),
            (.gates([1, 1], axis: 0), [matrix]), (.gates([0], axis: 2), [matrix]), (.split(.equal(2), axis: 1), [matrix]),
            (.split(.sizes([2, 2]), axis: 1), [matrix]), (.split(.sizes([5, -1]), axis: 1), [matrix]),
            (.split(.equal(0), axis: 1), [matrix]),
            (.split(.equal(1), axis: 0), [matrix, vector]), (.concatenated(.equal(2), axis: 0), [matrix, vector]),
            (.concatenated(.equal(2), axis: 0), []), (.concatenated(.sizes([1, -1]), axis: 0), [matrix, matrix]),
            (.each([.same]), [matrix, matrix]),
            (.concatenated(.equal(2), axis: 0), [vector, Tensor([0, 1] as [Double], shape: [2])]),
        ]
        for (layout, tensors) in refused { #expect(throws: FormatError.self, "\(layout)") { try layout.apply(tensors) } }
    }
}
