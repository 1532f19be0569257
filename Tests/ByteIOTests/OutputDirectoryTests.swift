import ByteIO
import Glibc
import TestSupport
import Testing

/// Several files, all in place or none.
@Suite struct OutputDirectoryTests {
    private func write(_ names: [String], to directory: OutputDirectory) throws {
        for name in names {
            let file = try directory.file(name)
            try file.append(Array("new \(name)".utf8))
            try file.commit()
        }
    }

    private func text(_ path: String) throws -> String { String(decoding: try ByteRegion(path: path).bytes(), as: UTF8.self) }

    @Test func nothingIsThereBeforeItIsCommitted() throws {
        let scratch = try TemporaryDirectory()
        do {
            let directory = try OutputDirectory(target: scratch.file("model/"), replacesExisting: false)
            try write(["a", "b"], to: directory)
            #expect(!isExistingDirectory(scratch.file("model")))
        }
        #expect(scratch.names == [])
        let directory = try OutputDirectory(target: scratch.file("model"), replacesExisting: false)
        try write(["a", "b"], to: directory)
        try directory.commit()
        #expect(scratch.names == ["model"])
        #expect(try directoryEntries(scratch.file("model")) == ["a", "b"])
        #expect(try text(scratch.file("model/a")) == "new a")
    }

    @Test func otherFilesOfAnExistingDirectoryStay() throws {
        let scratch = try TemporaryDirectory()
        mkdir(scratch.file("model"), 0o777)
        mkdir(scratch.file("model/onnx"), 0o777)
        _ = try scratch.write(Array("notes".utf8), to: "model/notes.txt")
        _ = try scratch.write(Array("deep".utf8), to: "model/onnx/deep")
        _ = try scratch.write(Array("old".utf8), to: "model/a")
        let error = #expect(throws: FileError.self) {
            try OutputDirectory(target: scratch.file("model"), replacesExisting: false).file("a")
        }
        #expect(error?.message.contains("exists already") == true)
        #expect(try text(scratch.file("model/a")) == "old")

        let directory = try OutputDirectory(target: scratch.file("model"), replacesExisting: true)
        try write(["a", "b"], to: directory)
        #expect(try text(scratch.file("model/a")) == "old")
        try directory.commit()
        #expect(try directoryEntries(scratch.file("model")) == ["a", "b", "notes.txt", "onnx"])
        #expect(try text(scratch.file("model/a")) == "new a")
        #expect(try text(scratch.file("model/notes.txt")) == "notes")
        #expect(try text(scratch.file("model/onnx/deep")) == "deep")
        #expect(scratch.names == ["model"])
    }

    @Test func staleFilesGoOnlyWhereReplacingIsAllowed() throws {
        let scratch = try TemporaryDirectory()
        mkdir(scratch.file("model"), 0o777)
        _ = try scratch.write([1], to: "model/part-2")
        for replaces in [false, true] {
            let directory = try OutputDirectory(target: scratch.file("model"), replacesExisting: replaces)
            try write(["whole-\(replaces)"], to: directory)
            try directory.commit { $0.hasPrefix("part-") }
            #expect(try directoryEntries(scratch.file("model")).contains("part-2") == !replaces)
        }
    }

    @Test(arguments: ["", "a/b", ".", ".."]) func namesThatLeadElsewhereAreRefused(name: String) throws {
        let scratch = try TemporaryDirectory()
        let directory = try OutputDirectory(target: scratch.file("model"), replacesExisting: false)
        #expect(throws: FileError.self) { try directory.file(name) }
    }

    @Test func aFileIsNoDirectory() throws {
        let scratch = try TemporaryDirectory()
        let path = try scratch.write([1], to: "file")
        #expect(throws: FileError.self) { try OutputDirectory(target: path, replacesExisting: true) }
    }
}
