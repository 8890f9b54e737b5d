; Ends programs that run from the file $1 in $INSTDIR. The count is in $0.
;
; They are found by the path of their own file, never by a name that other programs may have too. A file that was renamed while it
; ran has its new name here: `$1.MOMENT.old`.

; PROCESSENTRY32W: its size, and where the number of the process is.
!define ENTRY 568
!define PROCESS_AT 8
; PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_TERMINATE and SYNCHRONIZE.
!define TO_END 0x101001

!macro EndPrograms
  StrCpy $0 0
  StrLen $4 "$INSTDIR\"
  System::Call 'kernel32::GetCurrentProcessId() i .R5'
  System::Call 'kernel32::CreateToolhelp32Snapshot(i 2, i 0) p .r2'
  System::Call 'kernel32::GlobalAlloc(i 0x40, p ${ENTRY}) p .r3'
  System::Call '*$3(i ${ENTRY})'
  System::Call 'kernel32::Process32FirstW(p r2, p r3) i .r9'
  ${DoWhile} $9 <> 0
    IntPtrOp $5 $3 + ${PROCESS_AT}
    System::Call '*$5(i .r6)'
    System::Call 'kernel32::OpenProcess(i ${TO_END}, i 0, i r6) p .r7'
    ${If} $7 P<> 0
      StrCpy $R0 ""
      System::Call 'kernel32::QueryFullProcessImageNameW(p r7, i 0, w .R0, *i ${NSIS_MAX_STRLEN}) i .R1'
      StrCpy $R2 $R0 $4
      StrLen $R4 $1
      StrCpy $R3 $R0 $R4 $4
      ; What follows the name.
      IntOp $R4 $R4 + $4
      StrCpy $R4 $R0 "" $R4
      ${If} $R4 != ""
        StrCpy $R6 $R4 1
        StrCpy $R7 $R4 "" -4
        ${If} $R6 != "."
        ${OrIf} $R7 != ".old"
          StrCpy $R1 0
        ${EndIf}
      ${EndIf}
      ${If} $R1 <> 0
      ${AndIf} $6 <> $R5
      ${AndIf} $R2 == "$INSTDIR\"
      ${AndIf} $R3 == $1
        System::Call 'kernel32::TerminateProcess(p r7, i 0)'
        System::Call 'kernel32::WaitForSingleObject(p r7, i 5000)'
        IntOp $0 $0 + 1
      ${EndIf}
      System::Call 'kernel32::CloseHandle(p r7)'
    ${EndIf}
    System::Call 'kernel32::Process32NextW(p r2, p r3) i .r9'
  ${Loop}
  System::Call 'kernel32::GlobalFree(p r3)'
  System::Call 'kernel32::CloseHandle(p r2)'
!macroend

Function EndPrograms
  !insertmacro EndPrograms
FunctionEnd

Function un.EndPrograms
  !insertmacro EndPrograms
FunctionEnd
