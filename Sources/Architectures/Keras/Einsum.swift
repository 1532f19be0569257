import ByteIO
import ModelIR

/// An equation of two operands: `abc,cd->abd`. Letters in both and in the result are batch, letters in both alone are summed over.
struct EinsumEquation: Hashable, Sendable {
    let left: [Character]
    let right: [Character]
    let result: [Character]

    init(_ left: [Character], _ right: [Character], _ result: [Character]) {
        self.left = left
        self.right = right
        self.result = result
    }

    /// - Parameter ranks: of the operands, for the axes that `...` stands for.
    /// - Throws: `UnsupportedError` for what isn't a product of two with every letter once in each.
    init(_ text: String, ranks: [Int], title: String) throws {
        let failure = UnsupportedError("\(title) has the equation '\(text)', which isn't supported")
        guard ranks.count == 2, text.utf8.count <= 200 else { throw failure }
        let sides = text.filter { !$0.isWhitespace }.components(separatedBy: "->")
        let operands = sides[0].split(separator: ",", omittingEmptySubsequences: false)
        guard sides.count == 2, operands.count == 2 else { throw failure }
        func letters(_ part: Substring, rank: Int?) throws -> (letters: [Character], hasDots: Bool) {
            let pieces = part.components(separatedBy: "...")
            guard pieces.count <= 2, part.filter({ $0 == "." }).count == (pieces.count - 1) * 3 else { throw failure }
            let named = pieces.flatMap { Array($0) }
            guard named.allSatisfy({ $0.isASCII && $0.isLetter }), Set(named).count == named.count else { throw failure }
            guard pieces.count == 2 else {
                guard rank == nil || rank == named.count else { throw failure }
                return (named, false)
            }
            guard let rank else { return (Array(pieces[0]) + ["."] + Array(pieces[1]), true) }
            let count = rank - named.count
            guard count >= 0, count <= 10 else { throw failure }
            // Digits name the axes that the dots stand for.
            let axes = (0..<count).map { Character("\($0)") }
            return (Array(pieces[0]) + axes + Array(pieces[1]), true)
        }
        let (a, aDots) = try letters(operands[0], rank: ranks[0])
        let (b, bDots) = try letters(operands[1], rank: ranks[1])
        var (c, cDots) = try letters(sides[1][...], rank: nil)
        guard !(aDots && bDots), cDots == (aDots || bDots) else { throw failure }
        if cDots, let position = c.firstIndex(of: ".") {
            c.replaceSubrange(position...position, with: (aDots ? a : b).filter(\.isNumber))
        }
        // A letter of one operand alone must be in the result.
        guard Set(c).count == c.count, Set(c).isSubset(of: Set(a).union(b)),
            Set(a).symmetricDifference(b).isSubset(of: Set(c))
        else { throw failure }
        (left, right, result) = (a, b, c)
    }
}

extension String {
    /// Parts between occurrences of a separator.
    fileprivate func components(separatedBy separator: String) -> [String] { self[...].components(separatedBy: separator) }
}

extension Substring {
    fileprivate func components(separatedBy separator: String) -> [String] {
        var parts: [String] = []
        var rest = self
        while let found = rest.firstRange(of: separator) {
            parts.append(String(rest[..<found.lowerBound]))
            rest = rest[found.upperBound...]
        }
        return parts + [String(rest)]
    }
}

extension KerasBuilder {
    /// A product of two values by an equation, as one matmul.
    mutating func einsum(_ equation: EinsumEquation, _ a: ValueID, _ b: ValueID) throws -> ValueID {
        let (left, right, result) = (equation.left, equation.right, equation.result)
        let (aDims, bDims) = (graph.type(of: a).shape.dims, graph.type(of: b).shape.dims)
        guard aDims.count == left.count, bDims.count == right.count else {
            throw GraphError("can't multiply \(Shape(aDims)) and \(Shape(bDims)) by an equation of other ranks")
        }
        let batch = left.filter { right.contains($0) && result.contains($0) }
        let summed = left.filter { right.contains($0) && !result.contains($0) }
        let (rows, columns) = (left.filter { !right.contains($0) }, right.filter { !left.contains($0) })
        func size(_ letter: Character) -> Dim {
            if let axis = left.firstIndex(of: letter) { return aDims[axis] }
            return right.firstIndex(of: letter).map { bDims[$0] } ?? 1
        }
        func count(_ letters: [Character]) -> Dim { Shape(letters.map(size)).elementCount }
        let x = try transposed(a, (batch + rows + summed).compactMap { left.firstIndex(of: $0) })
        let y = try transposed(b, (batch + summed + columns).compactMap { right.firstIndex(of: $0) })
        let leading = batch.map(size)
        let m = try reshaped(x, Shape(leading + [count(rows), count(summed)]))
        let n = try reshaped(y, Shape(leading + [count(summed), count(columns)]))
        let product = try reshaped(graph.append(.matmul, [m, n]), Shape((batch + rows + columns).map(size)))
        let order = batch + rows + columns
        return try transposed(product, result.compactMap { order.firstIndex(of: $0) })
    }

    mutating func reshaped(_ x: ValueID, _ shape: Shape) throws -> ValueID {
        graph.type(of: x).shape == shape ? x : try graph.append(.reshape(shape), [x])
    }
}
