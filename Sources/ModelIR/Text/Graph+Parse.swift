import ByteIO

/// What a graph's text has wrong, and where.
public struct GraphTextError: Error, Hashable, Sendable, CustomStringConvertible {
    /// From 1.
    public var line: Int
    /// From 1, in Unicode scalars.
    public var column: Int
    public var message: String

    public var description: String { "line \(line), column \(column): \(message)" }
}

extension Graph {
    /// Reads the text form back.
    ///
    /// The graph is built through `addInput`, `addParameter` and `append`, so a text that is read is well formed and well typed: each
    /// type in it is the one that is inferred.
    /// - Parameter limits: bounds of the text's length, of names, of ranks, of dimensions' depth, and of the number of nodes and values.
    /// - Throws: `GraphTextError` at the first place that breaks a rule.
    public static func parse(_ text: String, limits: Limits = Limits()) throws(GraphTextError) -> Graph {
        let size = text.utf8.count
        guard size <= limits.documentByteCount else {
            throw GraphTextError(line: 1, column: 1, message: "the text has \(size) bytes, more than \(limits.documentByteCount)")
        }
        var parser = GraphParser(TextScanner(text, limits: limits))
        do {
            return try parser.parse()
        } catch {
            var line = 1
            var column = 1
            for byte in parser.scanner.bytes.prefix(error.offset) {
                if byte == 0x0A {
                    line += 1
                    column = 1
                } else if byte & 0xC0 != 0x80 {
                    column += 1
                }
            }
            throw GraphTextError(line: line, column: column, message: error.message)
        }
    }
}
