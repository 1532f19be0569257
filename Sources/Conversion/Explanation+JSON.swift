import JSON

extension Explanation {
    /// The document that `ingot explain --json` prints.
    public var json: JSONValue {
        [
            "path": .string(path), "target": .string(target.rawValue), "convertible": .bool(isConvertible),
            "symptoms": .array(
                symptoms.map { symptom in
                    [
                        "message": symptom.message.isEmpty ? .null : .string(symptom.message), "reason": .string(symptom.reason),
                        "places": .array(symptom.places.map { .string($0) }),
                    ]
                }),
            "rewrites": .array(rewrites.map { .string($0) }), "rewritten_elements": .int(rewrittenCount), "elements": .int(parameterCount),
            "output_drift": drift.map { .double($0) } ?? .null, "notes": .array(notes.map { .string($0) }),
            "obstacles": .array(obstacles.map { .string($0) }), "command": command.map { .string($0) } ?? .null,
        ]
    }
}
