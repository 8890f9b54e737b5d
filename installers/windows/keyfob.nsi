; Keyfob for one user of Windows: no administrator, nothing outside this user's own folders and registry.
;
; Made by xtask/src/dist/windows.rs, which defines:
;   VERSION   as in Cargo.toml            NUMBERS   the same as four numbers
;   PROGRAMS  folder of the programs      KIBIBYTES what they take on the disk
;   OUT       the installer to write      ICON      icon.ico
;   LIBRARY   where a library lies beside the programs
;   NOTICES   where the notices of third parties do
;   FOR_TESTS where it is to be packed and unpacked quickly
;
; An upgrade never stops a program that a tool is about to start: Windows cannot overwrite one that runs, but renames it. So all
; files are written beside the old ones, exchanged by renaming, and only then the agent is told to begin anew.

Target amd64-unicode
!ifdef FOR_TESTS
  SetCompress off
!else
  SetCompressor /SOLID lzma
!endif
; The same files make the same installer.
SetDateSave off
ManifestDPIAware true
RequestExecutionLevel user

!include FileFunc.nsh
!include LogicLib.nsh
!include MUI2.nsh
!include WinMessages.nsh

Name "Keyfob"
BrandingText "Keyfob ${VERSION}"
OutFile "${OUT}"
InstallDir "$LOCALAPPDATA\Programs\Keyfob"
ShowInstDetails nevershow
ShowUninstDetails nevershow

VIProductVersion "${NUMBERS}"
VIAddVersionKey "ProductName" "Keyfob"
VIAddVersionKey "ProductVersion" "${VERSION}"
VIAddVersionKey "FileVersion" "${VERSION}"
VIAddVersionKey "FileDescription" "Installs Keyfob"
VIAddVersionKey "CompanyName" "The Keyfob authors"
VIAddVersionKey "LegalCopyright" "Copyright 2026 The Keyfob authors. All rights reserved."

!define APPS "Software\Microsoft\Windows\CurrentVersion\Uninstall\Keyfob"
; Exactly as the tray reads and writes it (gui/src/desktop/autostart/registry.rs).
!define RUN "Software\Microsoft\Windows\CurrentVersion\Run"
!define RUN_LINE '"$INSTDIR\keyfob-tray.exe" --hidden'

!define MUI_ICON "${ICON}"
!define MUI_UNICON "${ICON}"
!define MUI_FINISHPAGE_RUN "$INSTDIR\keyfob-tray.exe"
!define MUI_FINISHPAGE_RUN_TEXT "Start Keyfob"
!define MUI_FINISHPAGE_NOAUTOCLOSE
!insertmacro MUI_PAGE_INSTFILES
!insertmacro MUI_PAGE_FINISH
!insertmacro MUI_UNPAGE_CONFIRM
!insertmacro MUI_UNPAGE_INSTFILES
!insertmacro MUI_LANGUAGE "English"

; What was installed before, and so what is kept as the person has set it.
Var Before
Var AgentRan
Var TrayRan
Var Moment
Var AtSignIn
Var IsMoved

!include path.nsh
!include place.nsh
!include programs.nsh

; Everything that is installed. A new name belongs here and nowhere else.
!macro EachFile Do
  !insertmacro ${Do} keyfob.exe keyfob.exe
  !insertmacro ${Do} bazel-credential-keyfob.exe keyfob.exe
  !insertmacro ${Do} docker-credential-keyfob.exe keyfob.exe
  !insertmacro ${Do} git-credential-keyfob.exe keyfob.exe
  !insertmacro ${Do} keyfobd.exe keyfobd.exe
  !insertmacro ${Do} keyfob-tray.exe keyfob-tray.exe
  !ifdef LIBRARY
    !insertmacro ${Do} "${LIBRARY}" "${LIBRARY}"
  !endif
  !ifdef NOTICES
    !insertmacro ${Do} NOTICES.txt NOTICES.txt
    !insertmacro ${Do} NOTICES-tray.txt NOTICES-tray.txt
  !endif
!macroend

!macro Write Name Source
  File "/oname=fresh\${Name}" "${PROGRAMS}/${Source}"
!macroend

!macro Exchange Name Source
  Push "${Name}"
  Call Exchange
!macroend

!macro Forget Name Source
  Delete "$INSTDIR\${Name}"
  Delete "$INSTDIR\fresh\${Name}"
!macroend

; Those that ran when they were replaced, under the names that `Exchange` gives them.
!macro ForgetOld Name Source
  Delete "$INSTDIR\${Name}.*.old"
!macroend

!macro End Name Source
  StrCpy $1 "${Name}"
  Call un.EndPrograms
!macroend

!macro OnlyOne
  System::Call 'kernel32::CreateMutexW(p 0, i 0, w "Local\KeyfobInstaller") p .r1 ?e'
  Pop $0
  ${If} $0 = 183
    MessageBox MB_OK|MB_ICONEXCLAMATION "Keyfob is just being installed or removed." /SD IDOK
    SetErrorLevel 1
    Quit
  ${EndIf}
!macroend

Function .onInit
  !insertmacro OnlyOne
  ReadRegStr $Before HKCU "${APPS}" "InstallLocation"
  Call ChoosePlace
  Call RefuseFolderOfOthers
FunctionEnd

Function un.onInit
  ; An installer that moves to another folder waits for us.
  ${GetParameters} $0
  ClearErrors
  ${GetOptions} $0 "/MOVED" $1
  StrCpy $IsMoved 1
  ${If} ${Errors}
    StrCpy $IsMoved 0
    !insertmacro OnlyOne
  ${EndIf}
FunctionEnd

; Puts the file named on the stack in the place of the one that is there, which may run.
Function Exchange
  Pop $0
  ClearErrors
  ${If} ${FileExists} "$INSTDIR\$0"
    Rename "$INSTDIR\$0" "$INSTDIR\$0.$Moment.old"
  ${EndIf}
  Rename "$INSTDIR\fresh\$0" "$INSTDIR\$0"
  ${If} ${Errors}
    Rename "$INSTDIR\$0.$Moment.old" "$INSTDIR\$0"
    SetErrorLevel 1
    Abort "$INSTDIR\$0 cannot be replaced."
  ${EndIf}
FunctionEnd

Section
  ; As the tray finds its own path: long names, never 8.3.
  CreateDirectory "$INSTDIR"
  GetFullPathName $INSTDIR "$INSTDIR"
  ; At the first time; afterwards it is as the person has set it in the window.
  ReadRegStr $0 HKCU "${RUN}" "Keyfob"
  StrCpy $AtSignIn 0
  ${If} $Before == ""
  ${OrIf} $0 != ""
    StrCpy $AtSignIn 1
  ${EndIf}
  ${If} $Before != ""
  ${AndIf} $Before != $INSTDIR
  ${AndIf} ${FileExists} "$Before\uninstall.exe"
    ; Another folder than the last time: nothing stays in that one.
    ExecWait '"$Before\uninstall.exe" /S /MOVED _?=$Before'
    Delete "$Before\uninstall.exe"
    RMDir "$Before"
    StrCpy $IsMoved 1
  ${EndIf}

  System::Call 'kernel32::GetTickCount() i .r0'
  StrCpy $Moment $0
  ; Of the upgrade before, and by now at their ends.
  !insertmacro EachFile ForgetOld
  !insertmacro ForgetOld uninstall.exe uninstall.exe
  StrCpy $AgentRan 1
  ${If} ${FileExists} "$INSTDIR\keyfob.exe"
    nsExec::Exec /TIMEOUT=60000 '"$INSTDIR\keyfob.exe" agent status'
    Pop $AgentRan
  ${EndIf}

  ClearErrors
  SetOutPath "$INSTDIR"
  CreateDirectory "$INSTDIR\fresh"
  !insertmacro EachFile Write
  WriteUninstaller "$INSTDIR\fresh\uninstall.exe"
  ${If} ${Errors}
    SetErrorLevel 1
    Abort "$INSTDIR cannot be written."
  ${EndIf}
  !insertmacro EachFile Exchange
  !insertmacro Exchange uninstall.exe uninstall.exe
  RMDir "$INSTDIR\fresh"

  ${If} $AgentRan = 0
    nsExec::Exec /TIMEOUT=60000 '"$INSTDIR\keyfob.exe" agent restart'
    Pop $0
  ${EndIf}
  StrCpy $1 "keyfob-tray.exe"
  Call EndPrograms
  StrCpy $TrayRan $0
  ${If} $TrayRan > 0
    Exec '"$INSTDIR\keyfob-tray.exe" --hidden'
  ${EndIf}
  !insertmacro EachFile ForgetOld
  !insertmacro ForgetOld uninstall.exe uninstall.exe

  CreateShortCut "$SMPROGRAMS\Keyfob.lnk" "$INSTDIR\keyfob-tray.exe"
  Call AddToPath
  ${If} $AtSignIn = 1
    WriteRegStr HKCU "${RUN}" "Keyfob" '${RUN_LINE}'
  ${EndIf}

  WriteRegStr HKCU "${APPS}" "DisplayName" "Keyfob"
  WriteRegStr HKCU "${APPS}" "DisplayVersion" "${VERSION}"
  WriteRegStr HKCU "${APPS}" "DisplayIcon" "$INSTDIR\keyfob-tray.exe"
  WriteRegStr HKCU "${APPS}" "Publisher" "The Keyfob authors"
  WriteRegStr HKCU "${APPS}" "InstallLocation" "$INSTDIR"
  WriteRegStr HKCU "${APPS}" "UninstallString" '"$INSTDIR\uninstall.exe"'
  WriteRegStr HKCU "${APPS}" "QuietUninstallString" '"$INSTDIR\uninstall.exe" /S'
  WriteRegDWORD HKCU "${APPS}" "EstimatedSize" ${KIBIBYTES}
  WriteRegDWORD HKCU "${APPS}" "NoModify" 1
  WriteRegDWORD HKCU "${APPS}" "NoRepair" 1
  ${If} $IsMoved = 1
    MessageBox MB_OK|MB_ICONINFORMATION "Keyfob is now in $INSTDIR. Files of Bazel, AWS and Metaflow still name $Before: run again what you have used of $\"keyfob setup bazel$\", $\"keyfob setup aws$\" and $\"keyfob setup metaflow$\"." /SD IDOK
  ${EndIf}
SectionEnd

; Configuration, keychain and state of the person stay.
Section Uninstall
  ; First of all, so that nothing starts what is going to be removed.
  Call un.RemoveFromPath
  ReadRegStr $0 HKCU "${RUN}" "Keyfob"
  ${If} $0 == '${RUN_LINE}'
    DeleteRegValue HKCU "${RUN}" "Keyfob"
  ${EndIf}
  Delete "$SMPROGRAMS\Keyfob.lnk"

  ; It would start the agent again.
  StrCpy $1 "keyfob-tray.exe"
  Call un.EndPrograms
  ; Takes our lines out of other programs' files, and ends the agent once what is being renewed is stored. Whoever only moves keeps
  ; them, and writes them again.
  ${If} $IsMoved = 0
    nsExec::Exec /TIMEOUT=60000 '"$INSTDIR\keyfob.exe" uninstall'
    Pop $0
  ${EndIf}
  nsExec::Exec /TIMEOUT=60000 '"$INSTDIR\keyfob.exe" agent stop'
  Pop $0
  !insertmacro EachFile End
  !insertmacro EachFile Forget
  !insertmacro EachFile ForgetOld
  !insertmacro Forget uninstall.exe uninstall.exe
  !insertmacro ForgetOld uninstall.exe uninstall.exe
  RMDir "$INSTDIR\fresh"
  RMDir "$INSTDIR"
  ; What the window's web view keeps by itself.
  RMDir /r "$LOCALAPPDATA\dev.keyfob.tray"
  DeleteRegKey HKCU "${APPS}"
SectionEnd
