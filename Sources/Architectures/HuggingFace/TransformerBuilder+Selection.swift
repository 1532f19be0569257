import ModelIR

extension TransformerBuilder {
    /// The vectors at one position of each row.
    ///
    /// - Parameters:
    ///   - x: [rows, sequence, size]
    ///   - position: i64 [rows]
    /// - Returns: [rows, size]
    mutating func rows(of x: ValueID, at position: ValueID) throws -> ValueID {
        let dims = shape(x).dims
        let places = try graph.append(.iota(ValueType(.i64, [1, dims[1]]), axis: 1), [])
        let column = try graph.append(.reshape([dims[0], 1]), [position])
        let isThere = try graph.append(.compare(.equal), [places, column])
        let aligned = try graph.append(.reshape([dims[0], dims[1], 1]), [isThere])
        let alone = try graph.append(.select, [aligned, x, graph.scalar(0, .f32)])
        return try graph.append(.reduce(.sum, axes: [1], keepsDimensions: false), [alone])
    }

    /// The last position of each row where a condition holds, 0 where it never does.
    ///
    /// - Parameter condition: bool [rows, sequence]
    /// - Returns: i64 [rows]
    mutating func lastPosition(where condition: ValueID) throws -> ValueID {
        let places = try graph.append(.iota(ValueType(.i64, [1, shape(condition)[1]]), axis: 1), [])
        let counted = try graph.append(.select, [condition, places, graph.scalar(0, .i64)])
        return try graph.append(.reduce(.maximum, axes: [1], keepsDimensions: false), [counted])
    }

    /// Whether ids are, or aren't, a certain one.
    mutating func compare(_ ids: ValueID, _ comparison: Comparison, _ id: Int) throws -> ValueID {
        try graph.append(.compare(comparison), [ids, graph.scalar(Double(id), .i64)])
    }

    /// `start_logits` and `end_logits` [batch, sequence], from a linear layer with two outputs.
    mutating func outputSpan(_ hidden: ValueID, _ name: String) throws {
        let logits = try linear(hidden, name)
        for (output, part) in zip(["start_logits", "end_logits"], try split(logits, 2)) {
            self.output(output, try graph.append(.reshape(Shape(shape(part).dims.dropLast())), [part]))
        }
    }
}
